-- table: evidence
-- title: Evidence of the best labels
-- denominator: shares are of all flows and bytes in the window, labelled or not
WITH kinds AS (
    SELECT coalesce(evidence, 'unlabelled') AS evidence, count(DISTINCT id(client)) AS users,
           count(*) AS flows, sum(bytes_up + bytes_down) AS bytes,
           min(confidence)::DOUBLE AS lowest, avg(confidence::DECIMAL(20, 9))::DOUBLE AS mean
    FROM labelled_flows WHERE $app IS NULL OR app = $app GROUP BY 1
)
SELECT evidence, users, flows, flows::DOUBLE / nullif(sum(flows) OVER (), 0) AS flow_share,
       bytes, bytes::DOUBLE / nullif(sum(bytes) OVER (), 0) AS byte_share,
       lowest AS lowest_confidence, mean AS mean_confidence
FROM kinds ORDER BY evidence = 'unlabelled', flows DESC, evidence;

-- table: conflicts
-- title: Flows claimed by two applications
-- denominator: flows with at least two labels that name different applications; the winner is the best label
WITH pairs AS (
    SELECT w.app AS winner, w.evidence AS winner_evidence, l.app AS loser, l.evidence AS loser_evidence, w.flow
    FROM labels w JOIN labels l ON l.flow = w.flow AND l.app <> w.app
    WHERE w.best AND NOT l.best AND ($app IS NULL OR $app IN (w.app, l.app))
)
SELECT winner, winner_evidence, loser, loser_evidence, count(DISTINCT f.client) AS users,
       count(DISTINCT f.flow) AS flows, sum(f.bytes_up + f.bytes_down) AS bytes
FROM pairs p JOIN flows f ON f.flow = p.flow
GROUP BY 1, 2, 3, 4 ORDER BY flows DESC, winner, loser, winner_evidence, loser_evidence;
