-- schema.sql -- the store, version 1 (PRAGMA user_version); schema_2.sql and on bring it up to date.
-- Built into the program.
-- Times are UTC, ISO 8601. Hashes are lower-case hex but for judgement.request, 32 bytes.

CREATE TABLE model (
    id           INTEGER PRIMARY KEY,
    weights      TEXT NOT NULL,         -- SHA-256 (checkpoint.h, llava.h); '' for answers made elsewhere
    connector    TEXT NOT NULL,         -- 'linear', 'mlp2x_gelu', ...; '' when unknown
    label        TEXT NOT NULL,         -- as people call it; the newest one
    config       TEXT,                  -- config.json as read
    n_parameters INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX model_identity ON model (weights, connector) WHERE weights <> '';
CREATE UNIQUE INDEX model_foreign ON model (label) WHERE weights = '';

CREATE TABLE dataset (
    id        INTEGER PRIMARY KEY,
    benchmark TEXT NOT NULL,
    split     TEXT NOT NULL,
    hash      TEXT NOT NULL,            -- over the question files
    n         INTEGER NOT NULL,         -- questions
    official  INTEGER NOT NULL,         -- 1: every pinned hash matched
    UNIQUE (benchmark, split, hash)
) STRICT;

CREATE TABLE question (
    dataset   INTEGER NOT NULL REFERENCES dataset,
    ordinal   INTEGER NOT NULL,         -- place in the official file: a key may stand twice
    key       TEXT NOT NULL,            -- the product's id
    image     TEXT,                     -- below DATA/<benchmark>; NULL: none
    text      TEXT NOT NULL,
    reference TEXT,                     -- NULL: hidden
    category  TEXT,
    PRIMARY KEY (dataset, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    model        INTEGER NOT NULL REFERENCES model,
    dataset      INTEGER NOT NULL REFERENCES dataset,
    prompts      TEXT NOT NULL,         -- name of the prompt set
    prompt_hash  TEXT NOT NULL,         -- of its exact text and the conversation template
    conversation TEXT NOT NULL,
    image_mode   TEXT NOT NULL,
    dtype        TEXT NOT NULL,
    decode       TEXT NOT NULL,         -- JSON of the decode settings
    dtype_note   TEXT,                  -- what the dtype costs, if anything
    program      TEXT NOT NULL,         -- version
    device       TEXT NOT NULL,
    host         TEXT NOT NULL,
    started      TEXT NOT NULL,
    finished     TEXT                   -- NULL: some of what was asked for is open
) STRICT;
CREATE INDEX run_identity ON run (model, dataset, prompt_hash, image_mode, dtype, decode);

CREATE TABLE reply (
    run           INTEGER NOT NULL REFERENCES run,
    ordinal       INTEGER NOT NULL,     -- of the question
    text          TEXT,                 -- NULL: failed
    error         TEXT,                 -- why it failed
    finish        TEXT NOT NULL,        -- 'stop', 'length', 'failed'
    prompt_tokens INTEGER NOT NULL,
    reply_tokens  INTEGER NOT NULL,
    ms            REAL NOT NULL,
    PRIMARY KEY (run, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE judgement (                -- draws of a judge; never replaced
    request           BLOB NOT NULL,    -- SHA-256 of the canonical request
    pass              INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    benchmark         TEXT NOT NULL,
    question          TEXT NOT NULL,    -- key
    judge             TEXT NOT NULL,    -- as asked for
    served            TEXT,             -- as the server names it
    profile           TEXT,
    finish            TEXT,
    reply             TEXT,             -- NULL: no text
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    http_ms           INTEGER NOT NULL,
    created           TEXT NOT NULL,
    PRIMARY KEY (request, pass, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE score (
    run      INTEGER NOT NULL REFERENCES run,
    metric   TEXT NOT NULL,
    place    INTEGER NOT NULL,          -- order in which the scorer names its metrics
    value    REAL,                      -- NULL: undefined
    stderr   REAL,
    n        INTEGER NOT NULL,
    headline INTEGER NOT NULL,
    partial  INTEGER NOT NULL,          -- questions missing, or a selection
    version  INTEGER NOT NULL,          -- of the scorer
    judge    TEXT,
    PRIMARY KEY (run, metric)
) STRICT, WITHOUT ROWID;

-- Scores of the newest run of each identity.
CREATE VIEW leaderboard AS
SELECT m.label AS model, NULLIF(m.connector, '') AS connector, d.benchmark, d.split, s.metric,
       r.prompts, r.image_mode, r.dtype, r.decode, s.judge, s.value, s.stderr, s.n, s.headline,
       s.partial, d.official, r.id AS run, m.id AS model_id, s.place
  FROM score s
  JOIN run r ON r.id = s.run
  JOIN model m ON m.id = r.model
  JOIN dataset d ON d.id = r.dataset
 WHERE r.id = (SELECT max(n.id)
                 FROM run n JOIN dataset nd ON nd.id = n.dataset
                WHERE n.model = r.model AND nd.benchmark = d.benchmark AND nd.split = d.split
                  AND n.prompts = r.prompts AND n.image_mode = r.image_mode
                  AND n.dtype = r.dtype AND n.decode = r.decode
                  AND EXISTS (SELECT 1 FROM score x WHERE x.run = n.id));
