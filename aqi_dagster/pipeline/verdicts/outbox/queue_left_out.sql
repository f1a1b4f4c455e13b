-- Withdraw what was told of windows that a later first window has left out: they lie before all that are scored.
-- $tells_of_sensors: whether the present rules tell of sensors. $now is naive UTC.

UPDATE slack_alerts
SET status = 'superseded', outcome = 'its window lies before the first one now', next_attempt_at = NULL
WHERE
    status IN ('pending', 'not_sent', 'refused')
    AND verdict <> 'withdrawn'
    AND window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL);

INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, created_at, kind, subject)
SELECT
    arg_max(region, alert_id),
    window_start,
    'withdrawn',
    -- What may have been told counts as told.
    arg_max(verdict, alert_id) FILTER (status IN ('sent', 'unknown')) AS told,
    'pending',
    $now,
    kind,
    subject
FROM slack_alerts
WHERE
    (kind = 'verdict' OR (kind = 'sensor' AND $tells_of_sensors))
    AND window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL)
GROUP BY kind, subject, coalesce(subject, region), window_start
HAVING told IS NOT NULL AND arg_max(verdict, alert_id) FILTER (status <> 'superseded') <> 'withdrawn'
ORDER BY window_start, kind, subject, 1;
