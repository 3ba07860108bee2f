-- The outbox. `weighbridge outbox migrate` applies this file; applying it again changes nothing.
--
-- Rule: whatever is inserted here is kept and delivered once. Any program may do it:
--     INSERT INTO readings (source, payload) VALUES ('my script', '{"weight": 81.4}');
-- `weighbridge_on_receipt` adds the time of receipt and the key, `weighbridge_to_queue` wakes a worker.

CREATE TABLE IF NOT EXISTS readings (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,                       -- mqtt:TOPIC, home_assistant:ENTITY, or the inserting program
    received_at     timestamptz NOT NULL DEFAULT now(),
    received        jsonb NOT NULL,                      -- as it came, never changed
    payload         jsonb NOT NULL,                      -- as it is sent: with `received_at`, and corrections
    key             text NOT NULL,                       -- the same for the same values; see weighbridge_key
    packet          integer,                             -- MQTT's packet identifier, to recognize a redelivery
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN (
                        'waiting',                       -- to be sent, or to be sent again
                        'accepted',                      -- Garmin took it; sent again until Garmin shows it
                        'kept',                          -- a file for manual import; sent again every hour
                        'confirmed', 'present',          -- in Garmin Connect: done
                        'parked'                         -- rejected: someone must look
                    )),
    replace         boolean NOT NULL DEFAULT false,      -- may it replace what Garmin holds for this instant?
    revision        integer NOT NULL DEFAULT 0,          -- counts retries and corrections
    attempts        integer NOT NULL DEFAULT 0,
    attempted_at    timestamptz,
    next_attempt_at timestamptz,
    receipt         jsonb,                               -- the function's last receipt
    fault           jsonb                                -- why the last attempt failed
);

CREATE INDEX IF NOT EXISTS readings_by_source ON readings (source, id);
CREATE INDEX IF NOT EXISTS readings_by_key ON readings (key, id);
CREATE INDEX IF NOT EXISTS readings_open ON readings (id) WHERE state NOT IN ('confirmed', 'present');

-- Whether a key is `received_at`, in any spelling.
CREATE OR REPLACE FUNCTION weighbridge_is_receipt(name text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(lower(name), '[^[:alnum:]]', '', 'g') = 'receivedat'
$$;

-- A hash of the values, without the time of receipt. Two readings with the same key are one weigh-in if they have a
-- time, and may be two if they have none. Only Python knows which keys are a time, so the relay and the worker decide.
CREATE OR REPLACE FUNCTION weighbridge_key(received jsonb) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(sha256(convert_to(CASE jsonb_typeof(received)
        WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(pair.key, pair.value), '{}')
            FROM jsonb_each(received) AS pair WHERE NOT weighbridge_is_receipt(pair.key))
        ELSE received END::text, 'UTF8')), 'hex')
$$;

-- `received_at` is the time of a reading that has none. It is stored, because otherwise each attempt would send another
-- reading. If the sender wrote one, with digits in it, that one counts.
CREATE OR REPLACE FUNCTION weighbridge_with_receipt(payload jsonb, moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN jsonb_typeof(payload) <> 'object' THEN payload
        WHEN EXISTS (SELECT FROM jsonb_each_text(payload) AS pair
            WHERE weighbridge_is_receipt(pair.key) AND pair.value ~ '[0-9]') THEN payload
        ELSE payload || jsonb_build_object(
            'received_at', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    END
$$;

CREATE OR REPLACE FUNCTION weighbridge_on_receipt() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.received := NEW.payload;
    NEW.payload := weighbridge_with_receipt(NEW.payload, NEW.received_at);
    NEW.key := weighbridge_key(NEW.received);
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER weighbridge_on_receipt
    BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION weighbridge_on_receipt();

-- Release 0.1 wrote the time of receipt into `measured_at`, included it in the key, and had one row per key.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'readings_key_key' AND conrelid = 'readings'::regclass) THEN
        ALTER TABLE readings DROP CONSTRAINT readings_key_key;
        UPDATE readings SET key = weighbridge_key(received);
    END IF;
END
$$;
DROP FUNCTION IF EXISTS weighbridge_timed;

-- One job per reading. `lock` prevents two workers from sending the same reading. A retry or a correction goes first:
-- it brings a waiting job forward instead of adding a second one.
CREATE OR REPLACE FUNCTION weighbridge_to_queue() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    reading_lock text := 'reading ' || NEW.id;
BEGIN
    UPDATE procrastinate_jobs SET scheduled_at = now(), priority = 1
        WHERE TG_OP = 'UPDATE' AND lock = reading_lock AND status = 'todo';
    IF NOT FOUND THEN
        PERFORM procrastinate_defer_jobs_v1(ARRAY[ROW(
            'weighbridge', 'weighbridge:deliver', CASE TG_OP WHEN 'UPDATE' THEN 1 ELSE 0 END, reading_lock, NULL,
            jsonb_build_object('reading_id', NEW.id), NULL
        )]::procrastinate_job_to_defer_v1[]);
    END IF;
    RETURN NULL;
END
$$;

-- At each fetch, procrastinate looks for other jobs with the same lock, and has no index for it. With 1,000 readings in
-- the queue a fetch took 10 ms; with this index, less than 1 ms.
CREATE INDEX IF NOT EXISTS weighbridge_lock ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing');

CREATE OR REPLACE TRIGGER weighbridge_to_queue
    AFTER INSERT OR UPDATE OF revision ON readings FOR EACH ROW
    WHEN (NEW.state = 'waiting') EXECUTE FUNCTION weighbridge_to_queue();
