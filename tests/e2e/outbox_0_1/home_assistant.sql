-- The trigger of release 0.1 on recorder, as databases still hold it.

CREATE TABLE IF NOT EXISTS weighbridge_entities (entity_id text PRIMARY KEY);

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
    IF entity IS NULL OR NEW.state IS NULL OR lower(NEW.state) IN ('unknown', 'unavailable', 'none', '') THEN
        RETURN NULL;
    END IF;

    SELECT coalesce(shared_attrs::jsonb, '{}') INTO attributes
        FROM state_attributes WHERE attributes_id = NEW.attributes_id;
    attributes := coalesce(attributes, '{}');
    -- A sensor of the weight alone says it in its state, and its unit beside it.
    IF NEW.state ~ '^[0-9]+(\.[0-9]+)?$' AND NOT EXISTS (
        SELECT FROM jsonb_object_keys(attributes) AS name
        WHERE regexp_replace(lower(name), '[^[:alnum:]]', '', 'g') IN ('weight', 'weightkg', 'weightg')
    ) THEN
        attributes := attributes
            || jsonb_build_object('weight', trim(NEW.state || ' ' || coalesce(attributes->>'unit_of_measurement', '')));
    END IF;
    -- How Home Assistant shows an entity is no part of a reading.
    attributes := attributes - ARRAY['friendly_name', 'icon', 'device_class', 'state_class', 'unit_of_measurement',
        'attribution', 'entity_picture', 'supported_features', 'assumed_state', 'restored', 'editable'];

    -- After a restart Home Assistant writes the restored state anew. Without a time of its own it is told from a new
    -- weigh-in by being the last one once more; with one, by its key.
    IF attributes IS NOT DISTINCT FROM (
        SELECT received FROM readings WHERE source = 'home_assistant:' || entity ORDER BY id DESC LIMIT 1
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO readings (source, payload, received_at)
        VALUES ('home_assistant:' || entity, attributes, coalesce(to_timestamp(NEW.last_updated_ts), now()))
        ON CONFLICT (key) DO NOTHING;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'weighbridge: a state was not taken over (SQLSTATE %)', SQLSTATE;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER weighbridge_from_recorder
    AFTER INSERT ON states FOR EACH ROW EXECUTE FUNCTION weighbridge_from_recorder();
