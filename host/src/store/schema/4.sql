-- The time before which a destination asked not to be sent a delivery again: Unix ms; 0 where it did not.
ALTER TABLE queue ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
