-- Bring the outbox in line with the verdicts of the windows from $first to $last. $now is naive UTC.
-- $told_from: nothing is queued of windows that ended by then, as other rules told of them.

-- What is true now, window by window and region by region, for all that have a verdict or were ever told one. With the
-- network rules a malfunction is told of the sensor, and what is undecided not at all.
CREATE OR REPLACE TEMP TABLE changed_verdicts AS
WITH verdict_alerts AS (
    SELECT alert_id, region, window_start, verdict, status
    FROM slack_alerts
    WHERE kind = 'verdict' AND window_start BETWEEN $first AND $last
), last_alert AS (
    SELECT region, window_start, arg_max(verdict, alert_id) AS verdict
    FROM verdict_alerts
    WHERE status <> 'superseded'
    GROUP BY region, window_start
), last_sent AS (
    SELECT region, window_start, arg_max(verdict, alert_id) AS verdict
    FROM verdict_alerts
    -- What may have been told counts as told: a change of it has to be.
    WHERE status IN ('sent', 'unknown')
    GROUP BY region, window_start
), current_verdict AS (
    SELECT region, window_start, verdict
    FROM regional_windows
    WHERE window_start BETWEEN $first AND $last AND (rules = 'notebook' OR verdict = 'smoke')
)
SELECT
    region,
    window_start,
    coalesce(current_verdict.verdict, 'withdrawn') AS verdict,
    last_sent.verdict AS told
FROM current_verdict
FULL JOIN last_alert USING (region, window_start)
LEFT JOIN last_sent USING (region, window_start)
WHERE coalesce(current_verdict.verdict, 'withdrawn') IS DISTINCT FROM last_alert.verdict;

UPDATE slack_alerts
SET status = 'superseded', outcome = 'the verdict changed before it was sent'
FROM changed_verdicts
WHERE
    slack_alerts.kind = 'verdict'
    AND slack_alerts.region = changed_verdicts.region
    AND slack_alerts.window_start = changed_verdicts.window_start
    AND slack_alerts.status IN ('pending', 'not_sent', 'refused');

-- Nothing is to be told where Slack already has the verdict, or has none and there is none.
INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, created_at)
SELECT
    region,
    window_start,
    verdict,
    told,
    CASE
        WHEN
            verdict = 'smoke'
            AND (SELECT arg_max(until, mutes.rowid) FROM mutes WHERE mutes.region = changed_verdicts.region) > $now
            THEN 'muted'
        ELSE 'pending'
    END,
    $now
FROM changed_verdicts
WHERE
    verdict IS DISTINCT FROM coalesce(told, 'withdrawn')
    AND window_start + INTERVAL 12 HOURS > $told_from
ORDER BY window_start, region;
