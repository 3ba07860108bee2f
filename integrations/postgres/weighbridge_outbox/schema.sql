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
    payload         jsonb NOT NULL,                      -- as it is sent: with `received_at`, joined values, corrections
    key             text NOT NULL,                       -- the same for the same values; see weighbridge_key
    packet          integer,                             -- MQTT's packet identifier, to recognize a redelivery
    state           text NOT NULL DEFAULT 'waiting',     -- see readings_state_check
    replace         boolean NOT NULL DEFAULT false,      -- may it replace what Garmin holds for this instant?
    revision        integer NOT NULL DEFAULT 0,          -- counts retries and corrections
    attempts        integer NOT NULL DEFAULT 0,
    attempted_at    timestamptz,
    next_attempt_at timestamptz,
    receipt         jsonb,                               -- the function's last receipt
    fault           jsonb                                -- why the last attempt failed
);

-- Release 0.2. What was received before is sent as it is: an attempt may have been made.
ALTER TABLE readings ADD COLUMN IF NOT EXISTS settled boolean NOT NULL DEFAULT true;
ALTER TABLE readings
    ALTER COLUMN settled SET DEFAULT false,              -- may no other row be joined with it any more?
    ADD COLUMN IF NOT EXISTS joined_to bigint,           -- the row that carries its values
    ADD COLUMN IF NOT EXISTS scale text,                 -- rows of one scale may be joined; the source if it is NULL
    ADD COLUMN IF NOT EXISTS part integer NOT NULL DEFAULT 0,  -- of several rows of one message, the second is 1
    ADD COLUMN IF NOT EXISTS action text NOT NULL DEFAULT 'weigh_in',  -- or 'replace', 'take_back'
    ADD COLUMN IF NOT EXISTS instant timestamptz,        -- of the weigh-in, as the worker reads it
    ADD COLUMN IF NOT EXISTS admitted boolean NOT NULL DEFAULT false,  -- may it be on its way to Garmin?
    ADD COLUMN IF NOT EXISTS person text NOT NULL DEFAULT '';  -- whose it is, if somebody had to be asked

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'readings_state_check'
        AND conrelid = 'readings'::regclass AND pg_get_constraintdef(oid) LIKE '%taken_back%') THEN
        ALTER TABLE readings DROP CONSTRAINT IF EXISTS readings_state_check;
        ALTER TABLE readings ADD CONSTRAINT readings_state_check CHECK (state IN (
            'waiting',                                   -- to be sent, or to be sent again
            'accepted',                                  -- Garmin took it; sent again until Garmin shows it
            'kept',                                      -- a file for manual import; sent again every hour
            'confirmed', 'present',                      -- in Garmin Connect: done
            'joined',                                    -- another row carries its values: done
            'taken_back',                                -- deleted, as the message asked: done
            'nothing',                                   -- the message is about no weigh-in: done
            'parked'                                     -- rejected: someone must look
        ));
    END IF;
END
$$;

CREATE INDEX IF NOT EXISTS readings_by_source ON readings (source, id);
CREATE INDEX IF NOT EXISTS readings_by_key ON readings (key, id);
-- For `status`, which counts the rows in each state.
CREATE INDEX IF NOT EXISTS readings_by_state ON readings (state);
-- Most rows are done, so these stay small.
DROP INDEX IF EXISTS readings_open;
CREATE INDEX IF NOT EXISTS readings_not_arrived ON readings (id)
    WHERE state IN ('waiting', 'accepted', 'kept', 'parked');
CREATE INDEX IF NOT EXISTS readings_to_settle ON readings (coalesce(scale, source), received_at, id)
    WHERE state = 'waiting' AND NOT settled;
CREATE INDEX IF NOT EXISTS readings_by_instant ON readings (coalesce(scale, source), instant);
CREATE INDEX IF NOT EXISTS readings_changes ON readings (coalesce(scale, source), id) WHERE action <> 'weigh_in';

-- Whether a key is `received_at`, in any spelling.
CREATE OR REPLACE FUNCTION weighbridge_is_receipt(name text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(lower(name), '[^[:alnum:]]', '', 'g') = 'receivedat'
$$;

-- A hash of the values that came, without the time of receipt. Two readings with the same key are one weigh-in if they have a
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
    NEW.received := coalesce(NEW.received, NEW.payload);
    NEW.key := weighbridge_key(NEW.payload);
    NEW.payload := weighbridge_with_receipt(NEW.payload, NEW.received_at);
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
    ELSE
        PERFORM pg_notify('procrastinate_queue_v1#weighbridge', '{"type": "job_inserted", "job_id": 0}');
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

-- The notices that were sent (`notices.py`): an event, and what it is about, such as a reading in one revision.
CREATE TABLE IF NOT EXISTS weighbridge_notices (
    event       text NOT NULL,
    about       text NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),      -- a worker was about to send it
    attempts    integer NOT NULL DEFAULT 1,
    sent_at     timestamptz,                             -- NULL: not yet
    PRIMARY KEY (event, about)
);
