-- SPDX-License-Identifier: Apache-2.0
-- The file's owner can drop them: they are against accidents. INSERT OR REPLACE deletes without asking
-- a trigger for DELETE, so the place of a row that is there is refused before.

CREATE TRIGGER beginnings_refuse_update BEFORE UPDATE ON beginnings BEGIN
    SELECT RAISE(ABORT, 'cabgate: UPDATE of beginnings refused: the event store is append-only');
END;

CREATE TRIGGER beginnings_refuse_delete BEFORE DELETE ON beginnings BEGIN
    SELECT RAISE(ABORT, 'cabgate: DELETE of beginnings refused: the event store is append-only');
END;

CREATE TRIGGER beginnings_refuse_replace BEFORE INSERT ON beginnings
WHEN EXISTS (SELECT 1 FROM beginnings WHERE cluster = NEW.cluster AND chain = NEW.chain) BEGIN
    SELECT RAISE(ABORT, 'cabgate: beginnings has this row: the event store is append-only');
END;

CREATE TRIGGER records_refuse_update BEFORE UPDATE ON records BEGIN
    SELECT RAISE(ABORT, 'cabgate: UPDATE of records refused: the event store is append-only');
END;

CREATE TRIGGER records_refuse_delete BEFORE DELETE ON records BEGIN
    SELECT RAISE(ABORT, 'cabgate: DELETE of records refused: the event store is append-only');
END;

CREATE TRIGGER records_refuse_replace BEFORE INSERT ON records
WHEN EXISTS (SELECT 1 FROM records WHERE cluster = NEW.cluster AND chain = NEW.chain AND sequence = NEW.sequence) BEGIN
    SELECT RAISE(ABORT, 'cabgate: records has this row: the event store is append-only');
END;

CREATE TRIGGER anomalies_refuse_update BEFORE UPDATE ON anomalies BEGIN
    SELECT RAISE(ABORT, 'cabgate: UPDATE of anomalies refused: the event store is append-only');
END;

CREATE TRIGGER anomalies_refuse_delete BEFORE DELETE ON anomalies BEGIN
    SELECT RAISE(ABORT, 'cabgate: DELETE of anomalies refused: the event store is append-only');
END;

CREATE TRIGGER anomalies_refuse_replace BEFORE INSERT ON anomalies
WHEN EXISTS (SELECT 1 FROM anomalies WHERE cluster = NEW.cluster AND chain = NEW.chain AND sequence = NEW.sequence AND code = NEW.code AND content_sha256 = NEW.content_sha256) BEGIN
    SELECT RAISE(ABORT, 'cabgate: anomalies has this row: the event store is append-only');
END;
