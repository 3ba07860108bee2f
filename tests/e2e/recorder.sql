-- The slice of Home Assistant's recorder (schema 42, 2024.3) that a new state touches, as it makes it on Postgres.
CREATE TABLE states_meta (metadata_id bigserial PRIMARY KEY, entity_id varchar(255));
CREATE UNIQUE INDEX ix_states_meta_entity_id ON states_meta (entity_id);
CREATE TABLE state_attributes (attributes_id bigserial PRIMARY KEY, hash bigint, shared_attrs text);
CREATE TABLE states (
    state_id bigserial PRIMARY KEY,
    entity_id char(1),
    state varchar(255),
    attributes char(1),
    event_id smallint,
    last_changed timestamptz,
    last_changed_ts double precision,
    last_updated timestamptz,
    last_updated_ts double precision,
    old_state_id bigint REFERENCES states,
    attributes_id bigint REFERENCES state_attributes,
    origin_idx smallint,
    context_id_bin bytea,
    context_user_id_bin bytea,
    context_parent_id_bin bytea,
    metadata_id bigint REFERENCES states_meta
);
