-- The chain of detectors began with the first window that was scored and held readings: releases before did not say so.
UPDATE windows
SET chain_start = (SELECT min(window_start) FROM windows WHERE scored > 0)
WHERE scored IS NOT NULL;
