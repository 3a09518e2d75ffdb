-- Order is a number (epoch, counter) instead of a time. What is stored already is older than every number.
ALTER TABLE link ADD COLUMN observed_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE look ADD COLUMN observed_number INTEGER NOT NULL DEFAULT 0;
