-- The time before which a destination asked not to be sent a delivery again: Unix ms; 0 where it did not.
ALTER TABLE queue ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
-- The time since when a delivery waits: Unix ms, by the clock that deliveries are due by.
ALTER TABLE queue ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
-- 1 where it went to the fallback of its destination, if it could.
ALTER TABLE queue ADD COLUMN fell_back INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET since = ifnull((SELECT received_at FROM requests WHERE seq = queue.id / 16384), 0);
CREATE INDEX queue_since ON queue (destination, fell_back, since);

-- Deliveries to the fallback of a destination that did not take an alert.
CREATE TABLE fallbacks (
    id          INTEGER PRIMARY KEY,    -- as queue.id
    of          INTEGER NOT NULL,       -- the delivery that it stands in for,
    destination INTEGER NOT NULL,       -- and where that was to go
    reason      TEXT NOT NULL           -- late | rejected; taken tells the fallback that the destination has it after all
) STRICT;
