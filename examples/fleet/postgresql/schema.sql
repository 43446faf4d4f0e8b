-- The database of a fleet: psql -d emotiond -f schema.sql, as the owner of the database. Safe to run again.
--
-- Roles: `emotiond_store` is the consumer's, `emotiond_reader` that of whoever reads the views. Neither can change a
-- row that is there.

\set ON_ERROR_STOP on
BEGIN;
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS emotiond;
SET search_path = emotiond;

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'emotiond_store') THEN CREATE ROLE emotiond_store LOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'emotiond_reader') THEN CREATE ROLE emotiond_reader LOGIN; END IF;
END $$;

-- Where each device stands; `provision` writes it.
CREATE TABLE IF NOT EXISTS devices (
  device text PRIMARY KEY,
  site text NOT NULL,
  location text NOT NULL,
  timezone text NOT NULL DEFAULT 'UTC',
  provisioned timestamptz NOT NULL DEFAULT now()
);

-- One row a window. The same message always has the same `start`, so a second copy meets the first in its partition.
-- What the views read stands in columns of its own; `body` is the whole message.
CREATE TABLE IF NOT EXISTS summaries (
  device text NOT NULL,
  boot uuid NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  start timestamptz NOT NULL,
  received timestamptz NOT NULL DEFAULT clock_timestamp(),
  body jsonb NOT NULL CHECK ((body ->> 'schema')::int = 1),
  camera text NOT NULL GENERATED ALWAYS AS (body #>> '{quality,camera}') STORED,
  observed real NOT NULL GENERATED ALWAYS AS ((body #>> '{quality,observed}')::real) STORED,
  face_seconds real GENERATED ALWAYS AS
    ((body #>> '{faces,mean}')::real * (body #>> '{quality,observed}')::real) STORED,
  most int GENERATED ALWAYS AS ((body #>> '{faces,max}')::int) STORED,
  visits int GENERATED ALWAYS AS ((body #>> '{faces,visits}')::int) STORED,
  watchers int GENERATED ALWAYS AS ((body #>> '{faces,watchers}')::int) STORED,
  dwell_ended int GENERATED ALWAYS AS ((body #>> '{faces,dwell,ended}')::int) STORED,
  dwell_mean real GENERATED ALWAYS AS ((body #>> '{faces,dwell,mean}')::real) STORED,
  neutral real GENERATED ALWAYS AS ((body #>> '{expression,distribution,neutral}')::real) STORED,
  happiness real GENERATED ALWAYS AS ((body #>> '{expression,distribution,happiness}')::real) STORED,
  surprise real GENERATED ALWAYS AS ((body #>> '{expression,distribution,surprise}')::real) STORED,
  sadness real GENERATED ALWAYS AS ((body #>> '{expression,distribution,sadness}')::real) STORED,
  anger real GENERATED ALWAYS AS ((body #>> '{expression,distribution,anger}')::real) STORED,
  disgust real GENERATED ALWAYS AS ((body #>> '{expression,distribution,disgust}')::real) STORED,
  fear real GENERATED ALWAYS AS ((body #>> '{expression,distribution,fear}')::real) STORED,
  contempt real GENERATED ALWAYS AS ((body #>> '{expression,distribution,contempt}')::real) STORED,
  valence real GENERATED ALWAYS AS ((body #>> '{valence,mean}')::real) STORED,
  arousal real GENERATED ALWAYS AS ((body #>> '{arousal,mean}')::real) STORED,
  PRIMARY KEY (device, boot, sequence, start)
) PARTITION BY RANGE (start);

-- Rows come nearly in the order of both, so these find an hour, or what is new, with a few pages.
CREATE INDEX IF NOT EXISTS summaries_start ON summaries USING brin (start);
CREATE INDEX IF NOT EXISTS summaries_received ON summaries USING brin (received);

-- What cannot be a row above: not JSON, of another device than its topic, or from a day without a partition.
CREATE TABLE IF NOT EXISTS rejected (
  digest bytea PRIMARY KEY,
  received timestamptz NOT NULL DEFAULT clock_timestamp(),
  routing_key text NOT NULL,
  reason text NOT NULL,
  body bytea NOT NULL
);

-- Sums by hour and place, so that means and shares can be had for any longer time. `slot` is the hour in UTC, `hour` the
-- device's own, which differs by half an hour in some time zones.
CREATE TABLE IF NOT EXISTS hours (
  slot timestamptz NOT NULL,
  site text NOT NULL,
  location text NOT NULL,
  hour timestamp NOT NULL,
  windows bigint NOT NULL,
  unseen bigint NOT NULL,
  observed double precision NOT NULL,
  face_seconds double precision,
  most int,
  visits bigint,
  watchers bigint,
  dwell_ended bigint,
  dwell_seconds double precision,
  read_seconds double precision,
  neutral double precision,
  happiness double precision,
  surprise double precision,
  sadness double precision,
  anger double precision,
  disgust double precision,
  fear double precision,
  contempt double precision,
  valence double precision,
  arousal double precision,
  PRIMARY KEY (slot, site, location, hour)
);

-- Until when `fold` has read.
CREATE TABLE IF NOT EXISTS folded (until timestamptz NOT NULL);
INSERT INTO folded SELECT '-infinity' WHERE NOT EXISTS (SELECT FROM folded);

-- Brings `hours` up to date: every hour of which a window has come since the last time is added up anew, however late
-- the window was. Expressions, valence and arousal are weighted by face-seconds. The consumer calls it every five
-- minutes. What was received in the five minutes before the last time is read again: it may not have been committed then.
CREATE OR REPLACE FUNCTION fold() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = emotiond, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  began timestamptz := clock_timestamp();
  changed timestamptz;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('emotiond.fold')) THEN RETURN; END IF;
  FOR changed IN
    SELECT DISTINCT date_trunc('hour', start) FROM summaries
    WHERE received >= (SELECT until - interval '5 minutes' FROM folded)
  LOOP
    DELETE FROM hours WHERE slot = changed;
    INSERT INTO hours
      SELECT changed, coalesce(d.site, 'unknown'), coalesce(d.location, s.device),
        date_trunc('hour', s.start AT TIME ZONE coalesce(d.timezone, 'UTC')),
        count(*), count(*) FILTER (WHERE s.camera <> 'ok'), sum(s.observed::float8),
        sum(s.face_seconds::float8), max(s.most), sum(s.visits), sum(s.watchers),
        sum(s.dwell_ended), sum(s.dwell_ended * s.dwell_mean::float8),
        sum(s.face_seconds::float8) FILTER (WHERE s.valence IS NOT NULL OR s.neutral IS NOT NULL),
        sum(s.face_seconds::float8 * s.neutral), sum(s.face_seconds::float8 * s.happiness),
        sum(s.face_seconds::float8 * s.surprise), sum(s.face_seconds::float8 * s.sadness),
        sum(s.face_seconds::float8 * s.anger), sum(s.face_seconds::float8 * s.disgust),
        sum(s.face_seconds::float8 * s.fear), sum(s.face_seconds::float8 * s.contempt),
        sum(s.face_seconds::float8 * s.valence), sum(s.face_seconds::float8 * s.arousal)
      FROM summaries s LEFT JOIN devices d USING (device)
      WHERE s.start >= changed AND s.start < changed + interval '1 hour'
      GROUP BY 2, 3, 4;
  END LOOP;
  UPDATE folded SET until = began;
END $$;

-- How many came, how many looked and how long they stayed, by day and place.
CREATE OR REPLACE VIEW people_daily AS
  SELECT site, location, hour::date AS day, sum(visits) AS visits, sum(watchers) AS watchers, max(most) AS most_at_once,
    sum(face_seconds) / nullif(sum(observed), 0) AS mean_present,
    sum(dwell_seconds) / nullif(sum(dwell_ended), 0) AS dwell_mean, sum(dwell_ended) AS dwell_ended,
    sum(observed) / 3600 AS hours_observed, sum(windows) AS windows, sum(unseen) AS windows_unseen
  FROM hours GROUP BY site, location, day;

-- What the faces showed, by hour and site: shares of the face-seconds in which emotion was read.
CREATE OR REPLACE VIEW mood_hourly AS
  SELECT site, hour, sum(read_seconds) AS face_seconds_read,
    sum(neutral) / nullif(sum(read_seconds), 0) AS neutral, sum(happiness) / nullif(sum(read_seconds), 0) AS happiness,
    sum(surprise) / nullif(sum(read_seconds), 0) AS surprise, sum(sadness) / nullif(sum(read_seconds), 0) AS sadness,
    sum(anger) / nullif(sum(read_seconds), 0) AS anger, sum(disgust) / nullif(sum(read_seconds), 0) AS disgust,
    sum(fear) / nullif(sum(read_seconds), 0) AS fear, sum(contempt) / nullif(sum(read_seconds), 0) AS contempt,
    sum(valence) / nullif(sum(read_seconds), 0) AS valence, sum(arousal) / nullif(sum(read_seconds), 0) AS arousal
  FROM hours GROUP BY site, hour;

-- Makes the partitions from `late` ago to `ahead` from now, and drops those older than `keep`; their hours stay in
-- `hours`. The consumer calls it when it starts and every hour. `late` is longer than the 7 days for which a device keeps
-- what it could not deliver (mqtt.keep).
CREATE OR REPLACE FUNCTION maintain(
  keep interval DEFAULT '90 days', late interval DEFAULT '8 days', ahead interval DEFAULT '2 days'
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = emotiond, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  day date;
  part name;
BEGIN
  IF keep <= late THEN RAISE EXCEPTION 'keep (%) has to be longer than late (%)', keep, late; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('emotiond.maintain'));
  PERFORM fold();
  FOR day IN SELECT generate_series(current_date - late, current_date + ahead, '1 day') LOOP
    part := 'summaries_' || to_char(day, 'YYYYMMDD');
    IF to_regclass(part) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF summaries FOR VALUES FROM (%L) TO (%L)', part, day, day + 1);
    END IF;
  END LOOP;
  FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'summaries'::regclass LOOP
    day := to_date(right(part, 8), 'YYYYMMDD');
    IF day < current_date - keep THEN
      EXECUTE format('DROP TABLE %I', part);
    END IF;
  END LOOP;
  DELETE FROM rejected WHERE received < now() - keep;
END $$;

REVOKE ALL ON FUNCTION maintain, fold FROM PUBLIC;
GRANT USAGE ON SCHEMA emotiond TO emotiond_store, emotiond_reader;
GRANT EXECUTE ON FUNCTION maintain, fold TO emotiond_store;
GRANT SELECT (device, boot, sequence, start), INSERT ON summaries TO emotiond_store;
GRANT SELECT (digest), INSERT ON rejected TO emotiond_store;
GRANT SELECT ON devices, summaries, rejected, hours, people_daily, mood_hourly TO emotiond_reader;
COMMIT;
