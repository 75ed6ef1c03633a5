-- SPDX-License-Identifier: Apache-2.0
-- What records rest on, a row for each content that an object had: requests without their status, which are never
-- changed, risk models and change policies. content: canonical JSON of kind, metadata and spec; digest: its SHA-256.
CREATE TABLE objects (
    cluster TEXT NOT NULL,
    kind TEXT NOT NULL,
    uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    stored_at TEXT NOT NULL,
    PRIMARY KEY (cluster, kind, uid, digest)
);
