-- schema_2.sql -- from version 1 of the store to version 2: more about judgements, and what failed.

ALTER TABLE judgement ADD COLUMN host TEXT;             -- that was asked; NULL: nobody, or not known
ALTER TABLE judgement ADD COLUMN usage_estimated INTEGER NOT NULL DEFAULT 0;   -- 1: tokens are ours
ALTER TABLE judgement ADD COLUMN response_id TEXT;
ALTER TABLE judgement ADD COLUMN fingerprint TEXT;      -- system_fingerprint

CREATE TABLE judge_error (              -- calls without a reply: for diagnosis, never for scoring
    id        INTEGER PRIMARY KEY,
    time      TEXT NOT NULL,
    benchmark TEXT NOT NULL,
    question  TEXT NOT NULL,            -- key
    pass      INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    judge     TEXT NOT NULL,            -- as asked for
    host      TEXT NOT NULL,
    status    INTEGER NOT NULL,         -- HTTP; 0: none came
    code      TEXT,                     -- error.code of the answer
    excerpt   TEXT NOT NULL             -- what came, at most 500 bytes, without the key
) STRICT;
