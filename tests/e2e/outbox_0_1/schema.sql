-- The tables of release 0.1, as databases still hold them.

CREATE TABLE IF NOT EXISTS readings (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,                       -- mqtt:TOPIC, home_assistant:ENTITY, or who inserted it
    received_at     timestamptz NOT NULL DEFAULT now(),
    received        jsonb NOT NULL,                      -- as it came, whole and for good
    payload         jsonb NOT NULL,                      -- as it is sent: with its time, and corrected if need be
    key             text NOT NULL UNIQUE,                -- the same reading received again has the same key
    packet          integer,                             -- MQTT's packet identifier, by which a redelivery is known
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN (
                        'waiting',                       -- to be sent, or to be sent again
                        'accepted',                      -- Garmin took it; asked again until it is shown
                        'kept',                          -- a file for import by hand; tried again, rarely
                        'confirmed', 'present',          -- in Garmin Connect: the end
                        'parked'                         -- rejected: somebody has to look
                    )),
    replace         boolean NOT NULL DEFAULT false,      -- may it replace what Garmin holds for this instant?
    revision        integer NOT NULL DEFAULT 0,          -- counts what people asked: each retry, each correction
    attempts        integer NOT NULL DEFAULT 0,
    attempted_at    timestamptz,
    next_attempt_at timestamptz,
    receipt         jsonb,                               -- the function's last receipt
    fault           jsonb                                -- why the last attempt did not end well
);

CREATE INDEX IF NOT EXISTS readings_by_source ON readings (source, id);
CREATE INDEX IF NOT EXISTS readings_open ON readings (id) WHERE state NOT IN ('confirmed', 'present');

-- A reading without a time counts from its arrival. That is written down here, since it would otherwise be another
-- reading at each attempt. Keys and words are those of the function: case, spaces and punctuation do not matter.
CREATE OR REPLACE FUNCTION weighbridge_timed(payload jsonb, arrival timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN jsonb_typeof(payload) <> 'object' THEN payload
        WHEN EXISTS (
            SELECT FROM jsonb_each_text(payload) AS pair
            WHERE regexp_replace(lower(pair.key), '[^[:alnum:]]', '', 'g') IN (
                'measuredat', 'timestamp', 'time', 'date', 'datetime', 'measuredtime', 'lastmeasurementtime')
              AND lower(btrim(coalesce(pair.value, ''))) NOT IN (
                '', 'unknown', 'unavailable', 'none', 'null', 'nan', '-', '--', '- -', 'n/a')
        ) THEN payload
        ELSE payload || jsonb_build_object(
            'measured_at', to_char(arrival AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    END
$$;

CREATE OR REPLACE FUNCTION weighbridge_on_receipt() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.received := NEW.payload;
    NEW.payload := weighbridge_timed(NEW.payload, NEW.received_at);
    NEW.key := encode(sha256(convert_to(NEW.payload::text, 'UTF8')), 'hex');
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER weighbridge_on_receipt
    BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION weighbridge_on_receipt();

-- One job per reading. `lock` keeps two workers from the same reading. What people ask for goes first, and brings a
-- job that is only waiting for its next attempt forward instead of making a second one.
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

-- procrastinate looks for other jobs of the same lock at each fetch, and has no index for it: with 1,000 readings in
-- the queue a fetch took 10 ms, with this one less than 1 ms.
CREATE INDEX IF NOT EXISTS weighbridge_lock ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing');

CREATE OR REPLACE TRIGGER weighbridge_to_queue
    AFTER INSERT OR UPDATE OF revision ON readings FOR EACH ROW
    WHEN (NEW.state = 'waiting') EXECUTE FUNCTION weighbridge_to_queue();
