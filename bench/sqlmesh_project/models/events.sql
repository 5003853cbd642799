-- Events by the hour that they came in: late ones come with a later hour, as in our lake.
MODEL (
  name bench.events,
  kind INCREMENTAL_BY_TIME_RANGE (time_column ingest_hour),
  cron '@hourly'
);

SELECT event_id, player_id, event_at, version, ingest_hour
FROM read_parquet('events/*.parquet')
WHERE ingest_hour BETWEEN @start_ts AND @end_ts
