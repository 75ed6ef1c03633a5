-- SPDX-License-Identifier: Apache-2.0
-- Times are RFC 3339 in UTC. No serial numbers: a reader would pass over what commits late.

-- Where a chain is taken up whose beginning had been pruned: the checkpoint that the cluster gave.
CREATE TABLE beginnings (
    cluster TEXT NOT NULL,
    chain TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    PRIMARY KEY (cluster, chain)
);

-- content: the record as an export has it, canonical JSON, of which its digest can be made again.
CREATE TABLE records (
    cluster TEXT NOT NULL,
    chain TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    digest TEXT NOT NULL,
    content TEXT NOT NULL,
    stored_at TEXT NOT NULL,
    PRIMARY KEY (cluster, chain, sequence)
);

-- Records that were not as they should be, each once.
CREATE TABLE anomalies (
    cluster TEXT NOT NULL,
    chain TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    code TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    message TEXT NOT NULL,
    content TEXT NOT NULL,
    found_at TEXT NOT NULL,
    PRIMARY KEY (cluster, chain, sequence, code, content_sha256)
);
