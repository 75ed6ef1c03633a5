-- SPDX-License-Identifier: Apache-2.0
CREATE TRIGGER objects_refuse_update BEFORE UPDATE ON objects BEGIN
    SELECT RAISE(ABORT, 'cabgate: UPDATE of objects refused: the event store is append-only');
END;

CREATE TRIGGER objects_refuse_delete BEFORE DELETE ON objects BEGIN
    SELECT RAISE(ABORT, 'cabgate: DELETE of objects refused: the event store is append-only');
END;

CREATE TRIGGER objects_refuse_replace BEFORE INSERT ON objects
WHEN EXISTS (SELECT 1 FROM objects WHERE cluster = NEW.cluster AND kind = NEW.kind AND uid = NEW.uid AND digest = NEW.digest) BEGIN
    SELECT RAISE(ABORT, 'cabgate: objects has this row: the event store is append-only');
END;
