-- The names that are indexed have a bound. `weighbridge outbox migrate` applies this file; applying it again changes
-- nothing.
--
-- Rule: a name of more than 500 bytes is stored as its first 100 characters and its SHA-256, so it still differs from
-- every other name. Whoever compares a name with a column applies `weighbridge_name` to it.
-- Facts: a row of an index has at most 2,704 bytes; a longer one makes the INSERT fail (54000). MQTT allows topics of
-- 65,535 bytes.

CREATE OR REPLACE FUNCTION weighbridge_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN octet_length(name) <= 500 THEN name
        ELSE left(name, 100) || '...' || encode(sha256(convert_to(name, 'UTF8')), 'hex') END
$$;

CREATE OR REPLACE FUNCTION weighbridge_bound_names() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.source := weighbridge_name(NEW.source);
    NEW.scale := weighbridge_name(NEW.scale);
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER weighbridge_bound_names
    BEFORE INSERT OR UPDATE OF source, scale ON readings FOR EACH ROW EXECUTE FUNCTION weighbridge_bound_names();

-- Earlier releases stored names of up to 2,704 bytes.
UPDATE readings SET source = source, scale = scale WHERE octet_length(source) > 500 OR octet_length(scale) > 500;
