-- table: video
-- title: Video of calls
-- denominator: one row is of all video streams of an application over one transport
WITH s AS (
    SELECT coalesce(f.app, 'none') AS app, v.*, f.client,
           CAST(v.last AS BIGINT) - CAST(v.first AS BIGINT) AS nanoseconds,
           v.frozen_seconds::DECIMAL(38, 9) AS frozen
    FROM video v LEFT JOIN labelled_flows f ON f.flow = v.flow
    WHERE coalesce(f.app, 'none') = coalesce($app, coalesce(f.app, 'none'))
)
SELECT app, carried, count(DISTINCT id(client)) AS users, count(*) AS streams, sum(nanoseconds) / 60e9 AS minutes,
       sum(frames) AS frames, sum(intact)::DOUBLE / nullif(sum(frames), 0) AS intact_share,
       sum(lost)::DOUBLE / nullif(sum(packets - duplicates + lost), 0) AS loss,
       median(frame_rate) AS frame_rate, median(kbit_per_second) AS kbit_per_second,
       sum(freezes) * 60e9 / nullif(sum(nanoseconds), 0) AS freezes_per_minute,
       sum(frozen)::DOUBLE * 1e9 / nullif(sum(nanoseconds), 0) AS frozen_share
FROM s GROUP BY app, carried ORDER BY streams DESC, app, carried;
