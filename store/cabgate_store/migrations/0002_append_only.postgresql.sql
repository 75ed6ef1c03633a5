-- SPDX-License-Identifier: Apache-2.0
-- ALWAYS: a session cannot switch them off by session_replication_role.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'cabgate: % of % refused: the event store is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON beginnings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE beginnings ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON records
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE records ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON anomalies
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE anomalies ENABLE ALWAYS TRIGGER append_only;
