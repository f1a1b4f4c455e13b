-- Withdraw what was told of windows that a later first window has left out: they lie before all that are scored.
-- $tells_of_sensors: whether the present rules tell of sensors. $now is naive UTC.

UPDATE slack_alerts
SET status = 'superseded', outcome = 'its window lies before the first one now', next_attempt_at = NULL
WHERE
    status IN ('pending', 'not_sent', 'refused')
    AND verdict <> 'withdrawn'
    AND window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL);

UPDATE deliveries
SET status = 'superseded', outcome = 'its window lies before the first one now', next_attempt_at = NULL
FROM slack_alerts
WHERE
    deliveries.alert_id = slack_alerts.alert_id
    AND deliveries.status IN ('pending', 'not_sent', 'refused')
    AND verdict <> 'withdrawn'
    AND window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL);

CREATE OR REPLACE TEMP TABLE left_out AS
SELECT
    channel,
    arg_max(region, alert_id) AS region,
    window_start,
    -- What may have been told counts as told.
    arg_max(verdict, alert_id) FILTER (status IN ('sent', 'unknown')) AS told,
    kind,
    subject
FROM channel_alerts SEMI JOIN told_channels USING (channel)
WHERE
    (kind = 'verdict' OR (kind = 'sensor' AND $tells_of_sensors))
    AND window_start < (SELECT min(window_start) FROM windows WHERE scored IS NOT NULL)
GROUP BY channel, kind, subject, coalesce(subject, region), window_start
HAVING told IS NOT NULL AND arg_max(verdict, alert_id) FILTER (status <> 'superseded') <> 'withdrawn';

INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, outcome, created_at, kind, subject)
SELECT
    any_value(region),
    window_start,
    'withdrawn',
    any_value(told) FILTER (channel = 'slack'),
    CASE WHEN bool_or(channel = 'slack') THEN 'pending' ELSE 'superseded' END,
    CASE WHEN NOT bool_or(channel = 'slack') THEN 'it is for other channels alone' END,
    $now,
    kind,
    subject
FROM left_out
GROUP BY kind, subject, coalesce(subject, region), window_start
ORDER BY window_start, kind, subject, 1;

INSERT INTO deliveries (alert_id, channel, status, previous_verdict)
SELECT max(alert_id), channel, 'pending', left_out.told
FROM left_out
JOIN slack_alerts
    ON left_out.kind = slack_alerts.kind
    AND left_out.window_start = slack_alerts.window_start
    AND coalesce(left_out.subject, left_out.region) = coalesce(slack_alerts.subject, slack_alerts.region)
WHERE channel <> 'slack'
GROUP BY channel, left_out.told, left_out.kind, left_out.window_start, coalesce(left_out.subject, left_out.region)
ORDER BY 1, 2;
