-- Home Assistant's recorder on Postgres as the way in: each new state of a chosen entity becomes a reading.
-- `weighbridge outbox migrate --home-assistant sensor.scale` applies this file and chooses the entity.
-- The table `readings` must be in recorder's own database.
--
-- Facts (recorder since 2023.4): `states` holds `metadata_id` -> `states_meta.entity_id` and `attributes_id` ->
-- `state_attributes.shared_attrs`, a JSON text; `last_updated_ts` is in epoch seconds.
-- Rule: this runs inside recorder's transaction, which holds the history of all of Home Assistant. Whatever fails here
-- is a warning in Postgres' log, without any value, and never makes recorder's transaction fail. A state that is not a
-- reading, for example because its attributes are not JSON that jsonb holds, is stored as text and parked.
-- Weakness: a state that cannot even be parked is lost to the outbox; only recorder's own tables have it.

CREATE TABLE IF NOT EXISTS weighbridge_entities (entity_id text PRIMARY KEY);

-- The function's words, copied by `migrate`. Kind 'nothing': a word for "no value". Kind 'weight': a key of the weight.
CREATE TABLE IF NOT EXISTS weighbridge_words (kind text, word text, PRIMARY KEY (kind, word));

CREATE OR REPLACE FUNCTION weighbridge_from_recorder() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER            -- recorder's role needs no privileges on our tables
SET search_path = public, pg_temp
AS $$
DECLARE
    entity text;
    attributes jsonb;
    reason text;
BEGIN
    SELECT meta.entity_id INTO entity
        FROM states_meta AS meta JOIN weighbridge_entities USING (entity_id)
        WHERE meta.metadata_id = NEW.metadata_id;
    IF entity IS NULL OR NEW.state IS NULL
        OR EXISTS (SELECT FROM weighbridge_words WHERE kind = 'nothing' AND word = lower(btrim(NEW.state))) THEN
        RETURN NULL;
    END IF;

    SELECT coalesce(shared_attrs::jsonb, '{}') INTO attributes
        FROM state_attributes WHERE attributes_id = NEW.attributes_id;
    attributes := coalesce(attributes, '{}');
    -- A sensor with only a weight has it in its state, and the unit in an attribute.
    IF NEW.state ~ '^[0-9]+(\.[0-9]+)?$' AND NOT EXISTS (
        SELECT FROM jsonb_object_keys(attributes) AS name JOIN weighbridge_words ON kind = 'weight'
            AND word = regexp_replace(lower(name), '[^[:alnum:]]', '', 'g')
    ) THEN
        attributes := attributes
            || jsonb_build_object('weight', trim(NEW.state || ' ' || coalesce(attributes->>'unit_of_measurement', '')));
    END IF;
    -- How Home Assistant shows an entity does not belong in a reading.
    attributes := attributes - ARRAY['friendly_name', 'icon', 'device_class', 'state_class', 'unit_of_measurement',
        'attribution', 'entity_picture', 'supported_features', 'assumed_state', 'restored', 'editable'];

    -- After a restart, Home Assistant writes the restored state again. It equals the last reading; a new weigh-in
    -- does not.
    IF attributes IS DISTINCT FROM (
        SELECT received FROM readings WHERE source = weighbridge_name('home_assistant:' || entity)
        ORDER BY id DESC LIMIT 1
    ) THEN
        INSERT INTO readings (source, payload, received_at)
            VALUES ('home_assistant:' || entity, attributes, coalesce(to_timestamp(NEW.last_updated_ts), now()));
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    reason := SQLSTATE;
    BEGIN
        SELECT to_jsonb(shared_attrs) INTO attributes FROM state_attributes WHERE attributes_id = NEW.attributes_id;
        attributes := coalesce(attributes, to_jsonb(NEW.state));
        IF attributes IS DISTINCT FROM (SELECT received FROM readings
            WHERE source = weighbridge_name('home_assistant:' || entity) ORDER BY id DESC LIMIT 1) THEN
            INSERT INTO readings (source, payload, state, fault)
                VALUES ('home_assistant:' || entity, attributes, 'parked',
                jsonb_build_object('type', 'urn:weighbridge:not-a-reading', 'title', 'The state is not a reading',
                    'blame', 'caller', 'again', 'never', 'detail',
                    format('Expected attributes that can be stored as a reading; Postgres said SQLSTATE %s.', reason)));
        END IF;
        RAISE WARNING 'weighbridge: a state was parked (SQLSTATE %)', reason;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'weighbridge: a state was not stored (SQLSTATE %)', reason;
    END;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER weighbridge_from_recorder
    AFTER INSERT ON states FOR EACH ROW EXECUTE FUNCTION weighbridge_from_recorder();
