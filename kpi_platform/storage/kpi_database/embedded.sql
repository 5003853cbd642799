-- The schema `lake` of the warehouse: copies of lake tables, what is kept of events, and the books of loading and
-- publishing.
-- Timestamps are UTC without a zone. partition_id numbers the partition that a row was loaded from.
create schema if not exists lake;
create sequence if not exists lake.partition_ids;
create sequence if not exists lake.load_ids;

create table if not exists lake.layout (version varchar not null);
create table if not exists lake.loaded_partitions (
    table_name varchar not null,
    partition_key varchar not null,
    partition_id integer not null,
    signature varchar not null
);

-- What each ingest hour holds of a session, or of one player outside sessions, in an hour of event time: by it the
-- load tells what an hour gained and lost, and finds the events of a run. The id that does not apply is blank.
create table if not exists lake.event_hours (
    partition_id integer not null,
    hour timestamp not null,
    source varchar not null,
    service_name varchar not null,
    session_id varchar not null,
    own_player_id varchar not null,
    events bigint not null,
    digest bigint not null,
    last_at timestamp not null,
    is_sighted boolean not null
);
-- The days of event time whose events a build of everything has still to take.
create table if not exists lake.waiting_days (day date not null);
-- The purchases and refunds that name a purchase, by which refunds are converted.
create table if not exists lake.purchases (
    partition_id integer not null,
    event_id varchar not null,
    source varchar not null,
    service_name varchar not null,
    session_id varchar not null,
    own_player_id varchar not null,
    event_at timestamp not null,
    purchase_id varchar,
    refund_of varchar
);
-- The events of one run (events_file.py), gone after it. A database server has them here, the embedded database in a
-- file beside it.
create table if not exists lake.cleaned_events (
    partition_id integer not null,
    event_id varchar not null,
    source varchar not null,
    studio varchar not null,
    game varchar not null,
    service_name varchar not null,
    session_id varchar not null,
    transaction_id bigint not null,
    event_name varchar not null,
    event_at timestamp not null,
    attributes varchar not null,
    own_player_id varchar,
    version varchar,
    version_sort_key varchar,
    purchase_id varchar,
    refund_of varchar,
    own_platform varchar
);
create table if not exists lake.sessions (
    partition_id integer not null,
    source varchar not null,
    service_name varchar not null,
    session_id varchar not null,
    player_id varchar,
    platform varchar not null,
    device varchar not null,
    country varchar not null,
    started_at timestamp not null,
    ended_at timestamp not null,
    ended_normally boolean not null,
    duration_seconds double precision not null,
    event_count bigint not null,
    crash_count bigint not null
);
-- state: ran (any source was read and decoded; the source is blank), data (a file or a captured row),
-- closed (the writer of a running source said that it is done), not_read (the hour ran without the
-- source), unread (files of it lie there that no run has looked at). Hours as ranges, half-open.
create table if not exists lake.source_hours (
    state varchar not null,
    source varchar not null,
    first_hour timestamp not null,
    end_hour timestamp not null
);
-- Hours that the figures of a grain wait for; studio and game are null in totals over all of them.
create table if not exists lake.waits (
    studio varchar,
    game varchar,
    kind varchar not null,
    first_hour timestamp not null,
    end_hour timestamp not null
);
create table if not exists lake.user_version_history (
    partition_id integer not null,
    player_id varchar not null,
    current_version varchar not null,
    current_device varchar not null,
    current_service varchar not null,
    first_seen_at timestamp not null,
    last_seen_at timestamp not null,
    version_count bigint not null
);
create table if not exists lake.user_version_intervals (
    partition_id integer not null,
    player_id varchar not null,
    service_name varchar not null,
    device varchar not null,
    version varchar not null,
    version_sort_key varchar not null,
    valid_from timestamp not null,
    valid_to timestamp
);
-- How a service orders its versions, where the sources file says so: natural or release_day.
create table if not exists lake.services (service_name varchar not null, version_order varchar not null);
create table if not exists lake.sources (
    source varchar not null,
    studio varchar not null,
    game varchar not null,
    since timestamp,
    until timestamp,
    kind varchar not null
);
create table if not exists lake.stream_stats (
    partition_id integer not null,
    studio varchar not null,
    game varchar not null,
    hour timestamp not null,
    average_viewers double precision not null,
    peak_viewers bigint,
    channels bigint,
    hours_streamed double precision
);

-- A load is pending until dbt has built on it; its affected periods stay until they are published.
create table if not exists lake.loads (load_id bigint not null, is_built boolean not null);
-- reason: events (attributed_events differ), sessions (those started in the hour differ),
-- running (those that last through the hour differ), progress (is_complete may differ),
-- arrivals (the same of a date that was over before: its trailing windows too),
-- streams (what stream platforms say of the date differs).
create table if not exists lake.affected_hours (
    load_id bigint not null, hour timestamp not null, reason varchar not null
);
create table if not exists lake.affected_dates (
    load_id bigint not null, date date not null, reason varchar not null
);
create table if not exists lake.affected_players (load_id bigint not null, player_id varchar not null);
-- The sessions of which events or an end differ: their players are affected, though the session may be as it was.
create table if not exists lake.affected_sessions (
    load_id bigint not null, source varchar not null, service_name varchar not null, session_id varchar not null
);
-- The dates, up to the last one without `to_date`, on which a player's version in effect may differ.
create table if not exists lake.affected_versions (
    load_id bigint not null, service_name varchar not null, player_id varchar not null,
    from_date date not null, to_date date
);
-- Intervals as they were and as they are, until all of a load are known: one that ends leaves its
-- partition for another.
create table if not exists lake.changed_intervals (
    player_id varchar not null, service_name varchar not null, device varchar not null,
    valid_from timestamp not null, version varchar not null, valid_to timestamp
);

-- What is kept of days whose events may be gone: the last of them, the purchases that refunds may name,
-- and, while everything is built anew, what models made of them (a JSON object of texts).
create table if not exists lake.kept_days (kept_through date not null);
create table if not exists lake.kept_purchases (
    source varchar not null, purchase_id varchar not null, event_at timestamp not null
);
create table if not exists lake.kept_rows (model varchar not null, contents varchar not null);

-- In which state each published table was left: the version, and a hash of the names of its data files.
create table if not exists lake.published_states (
    table_name varchar not null, version bigint not null, files varchar not null
);

-- Which dates of event time a load changed in which ingest hour: what a restated value is due to.
create table if not exists lake.changed_ingest_hours (
    load_id bigint not null, ingest_hour timestamp not null, date date not null
);

-- Written by the models' incremental strategy in the transaction that changes the model.
create table if not exists lake.changed_periods (table_name varchar not null, period timestamp);
create table if not exists lake.changed_player_days (
    change varchar not null, date date, studio varchar, game varchar, platform varchar, player_id varchar,
    is_active boolean, net_usd decimal(38, 6), has_purchased boolean, has_crashed boolean
);
create table if not exists lake.changed_first_days (
    change varchar not null, studio varchar, game varchar, platform varchar, player_id varchar,
    first_active_date date, first_purchase_date date
);
create table if not exists lake.changed_last_days (
    change varchar not null, studio varchar, game varchar, platform varchar, player_id varchar, last_active_date date
);
create table if not exists lake.changed_subject_days (
    change varchar not null, date date, service_name varchar, player_id varchar, event_name varchar,
    subject varchar, detail varchar, version varchar, is_sighted boolean, occurrences bigint
);
create table if not exists lake.changed_grain_first_dates (
    change varchar not null, studio varchar, game varchar, platform varchar, first_date date
);

create table if not exists lake.built_project (fingerprint varchar not null);
