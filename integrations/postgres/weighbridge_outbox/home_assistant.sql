-- Home Assistant's recorder on Postgres as the way in: each new state of a chosen entity becomes a reading.
-- `weighbridge outbox migrate --home-assistant sensor.scale` applies this file and chooses the entity.
-- The table `readings` has to be in recorder's own database.
--
-- Facts (recorder since 2023.4): `states` holds `metadata_id` -> `states_meta.entity_id` and `attributes_id` ->
-- `state_attributes.shared_attrs`, a JSON text; `last_updated_ts` is in epoch seconds.
-- Rule: this runs inside recorder's transaction, which carries the history of the whole house. Whatever goes wrong
-- here is a warning in Postgres' log, without any value, and never a fault of recorder's.

CREATE TABLE IF NOT EXISTS weighbridge_entities (entity_id text PRIMARY KEY);

-- The function's own words, copied here by `migrate`: 'nothing' stands for no value, 'weight' is a key of the weight.
CREATE TABLE IF NOT EXISTS weighbridge_words (kind text, word text, PRIMARY KEY (kind, word));

CREATE OR REPLACE FUNCTION weighbridge_from_recorder() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER            -- recorder's user needs no rights on our tables
SET search_path = public, pg_temp
AS $$
DECLARE
    entity text;
    attributes jsonb;
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
    -- A sensor of the weight alone says it in its state, and its unit beside it.
    IF NEW.state ~ '^[0-9]+(\.[0-9]+)?$' AND NOT EXISTS (
        SELECT FROM jsonb_object_keys(attributes) AS name JOIN weighbridge_words ON kind = 'weight'
            AND word = regexp_replace(lower(name), '[^[:alnum:]]', '', 'g')
    ) THEN
        attributes := attributes
            || jsonb_build_object('weight', trim(NEW.state || ' ' || coalesce(attributes->>'unit_of_measurement', '')));
    END IF;
    -- How Home Assistant shows an entity is no part of a reading.
    attributes := attributes - ARRAY['friendly_name', 'icon', 'device_class', 'state_class', 'unit_of_measurement',
        'attribution', 'entity_picture', 'supported_features', 'assumed_state', 'restored', 'editable'];

    -- After a restart Home Assistant writes the restored state again. It is told from a new weigh-in by being the last
    -- one once more.
    IF attributes IS DISTINCT FROM (
        SELECT received FROM readings WHERE source = 'home_assistant:' || entity ORDER BY id DESC LIMIT 1
    ) THEN
        INSERT INTO readings (source, payload, received_at)
            VALUES ('home_assistant:' || entity, attributes, coalesce(to_timestamp(NEW.last_updated_ts), now()));
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'weighbridge: a state was not taken over (SQLSTATE %)', SQLSTATE;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER weighbridge_from_recorder
    AFTER INSERT ON states FOR EACH ROW EXECUTE FUNCTION weighbridge_from_recorder();
