-- The chain of detectors began with the first window that was scored and held readings: releases before did not say so.
UPDATE windows
SET chain_start = (SELECT min(window_start) FROM windows WHERE scored > 0)
WHERE scored IS NOT NULL;

-- The next pull takes these messages again; those that still lie in the future get the time when they no longer do.
UPDATE rejected_messages
SET due_at = ingested_at
WHERE reason = 'created_at is in the future';
