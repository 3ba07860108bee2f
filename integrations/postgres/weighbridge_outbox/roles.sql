-- The least rights that the relay and the worker need, for the roles `weighbridge_relay` and `weighbridge_worker`, if
-- they exist. `weighbridge outbox migrate` applies this file after the others; applying it again changes nothing.
--
-- Rule: the relay stores readings and sees if one is stored. The worker reads and updates readings, and has the
-- queue and the notices. Neither deletes a reading, changes a table or sees another one, such as Home Assistant's.
-- Facts: a trigger runs with the rights of whoever inserts, unless it is SECURITY DEFINER; then it has those of its
-- owner, and a fixed search_path, so that nobody can put another function in its way.

ALTER FUNCTION weighbridge_to_queue() SECURITY DEFINER SET search_path = public, pg_temp;
-- A trigger runs without this right. With it, any role could put the trigger on a table of its own.
REVOKE EXECUTE ON FUNCTION weighbridge_to_queue() FROM PUBLIC;

DO $$
DECLARE
    part record;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'weighbridge_relay') THEN
        GRANT SELECT, INSERT ON readings TO weighbridge_relay;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'weighbridge_worker') THEN
        GRANT SELECT, UPDATE ON readings TO weighbridge_worker;
        GRANT SELECT, INSERT, UPDATE ON weighbridge_notices TO weighbridge_worker;
        FOR part IN SELECT oid::regclass AS name, relkind FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relname LIKE 'procrastinate\_%' AND relkind IN ('r', 'S') LOOP
            IF part.relkind = 'S' THEN
                EXECUTE format('GRANT USAGE ON SEQUENCE %s TO weighbridge_worker', part.name);
            ELSE
                EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO weighbridge_worker', part.name);
            END IF;
        END LOOP;
    END IF;
END
$$;
