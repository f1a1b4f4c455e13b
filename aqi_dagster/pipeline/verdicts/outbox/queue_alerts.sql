-- Bring the outbox in line with the verdicts of the windows from $first to $last. $now is naive UTC.
-- $told_from: nothing is queued of windows that ended by then, as other rules told of them.

-- What is true now, window by window and region by region, for all that have a verdict or were ever told one, where it
-- is not what a channel was told last or is to be. With the network rules a malfunction is told of the sensor, and what
-- is undecided not at all.
CREATE OR REPLACE TEMP TABLE changed_verdicts AS
WITH own AS (
    SELECT
        channel,
        region,
        window_start,
        arg_max(verdict, alert_id) FILTER (status <> 'superseded') AS last_verdict,
        -- What may have been told counts as told: a change of it has to be.
        arg_max(verdict, alert_id) FILTER (status IN ('sent', 'unknown')) AS told
    FROM channel_alerts SEMI JOIN told_channels USING (channel)
    WHERE kind = 'verdict' AND window_start BETWEEN $first AND $last
    GROUP BY channel, region, window_start
), first_alert AS (
    SELECT region, window_start, min(created_at) AS created_at
    FROM slack_alerts
    WHERE kind = 'verdict' AND window_start BETWEEN $first AND $last
    GROUP BY region, window_start
), current_verdict AS (
    SELECT channel, since, region, window_start, verdict
    FROM regional_windows
    CROSS JOIN told_channels
    WHERE window_start BETWEEN $first AND $last AND (rules = 'notebook' OR verdict = 'smoke')
)
SELECT channel, region, window_start, coalesce(verdict, 'withdrawn') AS verdict, told
FROM current_verdict
FULL JOIN own USING (channel, region, window_start)
LEFT JOIN first_alert USING (region, window_start)
WHERE
    coalesce(verdict, 'withdrawn') IS DISTINCT FROM last_verdict
    -- What was told before a channel was there is not told to it, unless it got it then as recent.
    AND (own.channel IS NOT NULL OR coalesce(created_at >= since, true));

UPDATE slack_alerts
SET status = 'superseded', outcome = 'the verdict changed before it was sent'
FROM changed_verdicts
WHERE
    changed_verdicts.channel = 'slack'
    AND slack_alerts.kind = 'verdict'
    AND slack_alerts.region = changed_verdicts.region
    AND slack_alerts.window_start = changed_verdicts.window_start
    AND slack_alerts.status IN ('pending', 'not_sent', 'refused');

UPDATE deliveries
SET status = 'superseded', outcome = 'the verdict changed before it was sent'
FROM changed_verdicts
JOIN slack_alerts USING (region, window_start)
WHERE
    slack_alerts.kind = 'verdict'
    AND deliveries.alert_id = slack_alerts.alert_id
    AND deliveries.channel = changed_verdicts.channel
    AND deliveries.status IN ('pending', 'not_sent', 'refused');

-- Nothing is to be told where a channel already has the verdict, or has none and there is none.
CREATE OR REPLACE TEMP TABLE new_verdicts AS
SELECT
    changed_verdicts.*,
    CASE WHEN verdict = 'smoke' AND muted_until > $now THEN 'muted' ELSE 'pending' END AS status
FROM changed_verdicts
LEFT JOIN (SELECT region, arg_max(until, mutes.rowid) AS muted_until FROM mutes GROUP BY region) USING (region)
WHERE
    verdict IS DISTINCT FROM coalesce(told, 'withdrawn')
    AND window_start + INTERVAL 12 HOURS > $told_from;

INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, outcome, created_at)
SELECT
    region,
    window_start,
    verdict,
    any_value(told) FILTER (channel = 'slack'),
    coalesce(any_value(status) FILTER (channel = 'slack'), 'superseded'),
    CASE WHEN NOT bool_or(channel = 'slack') THEN 'it is for other channels alone' END,
    $now
FROM new_verdicts
GROUP BY region, window_start, verdict
ORDER BY window_start, region;

INSERT INTO deliveries (alert_id, channel, status, previous_verdict)
SELECT max(alert_id), channel, new_verdicts.status, new_verdicts.told
FROM new_verdicts
JOIN slack_alerts USING (region, window_start, verdict)
WHERE channel <> 'slack' AND kind = 'verdict'
GROUP BY channel, region, window_start, new_verdicts.status, new_verdicts.told
ORDER BY 1, 2;
