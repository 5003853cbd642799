-- The versions of each player, each with the time from which on it was in effect.
MODEL (name bench.histories, kind FULL, cron '@hourly');

SELECT player_id, version, event_at AS valid_from
FROM (
  SELECT
    player_id,
    version,
    event_at,
    LAG(version) OVER (PARTITION BY player_id ORDER BY event_at) AS version_before
  FROM bench.events
)
WHERE version IS DISTINCT FROM version_before
