"""Views for operators' dashboards, and the one other role that may read the database.

``talksplat_reporting`` may SELECT from these views and from nothing else: no table, no name of a
person or file, no text of a tenant. A view reads with the rights of its owner, to whom row-level
security applies too (it is forced); so whoever migrates becomes a member of the engine's role.
"""

from api.db.session import ENGINE_ROLE

REPORTING_ROLE = "talksplat_reporting"

VIEWS = {
    # What each tenant holds now, beside its quotas.
    "reporting_tenants": """
        SELECT t.id AS tenant_id, t.name AS tenant, t.weight, t.disabled_at IS NULL AS is_active,
            coalesce(u.n_open_jobs, 0) AS n_open_jobs, t.max_open_jobs,
            coalesce(u.stored_bytes, 0) AS stored_bytes, t.max_stored_bytes,
            coalesce((
                SELECT sum(c.compute_seconds) FROM usage c WHERE c.tenant_id = t.id
                AND c.month = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')
            ), 0) AS month_compute_seconds, t.max_compute_seconds
        FROM tenants t LEFT JOIN tenant_usage u ON u.tenant_id = t.id""",
    # Compute by month and service.
    "reporting_compute": """
        SELECT t.name AS tenant, u.month, u.service, u.compute_seconds, u.n_stages
        FROM usage u JOIN tenants t ON t.id = u.tenant_id""",
    # Jobs by day of submission (UTC).
    "reporting_jobs": """
        SELECT t.name AS tenant, date_trunc('day', j.created_at, 'UTC') AS day, j.kind, j.status,
            count(*) AS n_jobs,
            avg(extract(epoch FROM j.finished_at - j.created_at)) AS mean_seconds,
            percentile_cont(0.95) WITHIN GROUP (
                ORDER BY extract(epoch FROM j.finished_at - j.created_at)
            ) AS p95_seconds
        FROM jobs j JOIN tenants t ON t.id = j.tenant_id GROUP BY 1, 2, 3, 4""",
    # Why jobs failed.
    "reporting_failures": """
        SELECT t.name AS tenant, date_trunc('day', j.created_at, 'UTC') AS day, j.kind,
            j.state -> 'failure' ->> 'stage' AS stage, j.state -> 'failure' ->> 'code' AS code,
            count(*) AS n_jobs
        FROM jobs j JOIN tenants t ON t.id = j.tenant_id
        WHERE j.status = 'failed' GROUP BY 1, 2, 3, 4, 5""",
    # Videos that are ready: how many, and how long they play.
    "reporting_videos": """
        SELECT t.name AS tenant, date_trunc('day', v.created_at, 'UTC') AS day,
            count(*) AS n_videos,
            sum(CASE WHEN (v.facts #>> '{render,fps}')::float > 0
                THEN (v.facts #>> '{render,n_frames}')::float / (v.facts #>> '{render,fps}')::float
                ELSE 0 END) AS video_seconds
        FROM videos v JOIN tenants t ON t.id = v.tenant_id
        WHERE v.status = 'ready' GROUP BY 1, 2""",
    # Scores: of held-out seconds for avatars, of finished ones for videos.
    "reporting_scores": """
        SELECT s.tenant, s.day, s.made, f.key AS score, count(*) AS n,
            avg((f.value #>> '{}')::float) AS mean,
            percentile_cont(0.1) WITHIN GROUP (ORDER BY (f.value #>> '{}')::float) AS p10,
            percentile_cont(0.9) WITHIN GROUP (ORDER BY (f.value #>> '{}')::float) AS p90
        FROM (
            SELECT t.name AS tenant, date_trunc('day', a.created_at, 'UTC') AS day,
                'avatar' AS made, a.facts -> 'score' AS scores
            FROM avatars a JOIN tenants t ON t.id = a.tenant_id
            UNION ALL
            SELECT t.name, date_trunc('day', v.created_at, 'UTC'), 'video', v.facts -> 'score'
            FROM videos v JOIN tenants t ON t.id = v.tenant_id
        ) s CROSS JOIN LATERAL jsonb_each(
            CASE WHEN jsonb_typeof(s.scores) = 'object' THEN s.scores ELSE '{}'::jsonb END
        ) f
        WHERE jsonb_typeof(f.value) = 'number' AND f.key <> 'n_frames'
        GROUP BY 1, 2, 3, 4""",
}
"""Name -> query. Only aggregates and names of tenants; a change is a new migration."""


def reporting_statements(schema: str = "public") -> list[str]:
    """DDL for PostgreSQL: the role, the views, and its rights."""
    return [
        (
            f"DO $$ BEGIN CREATE ROLE {REPORTING_ROLE} NOLOGIN NOINHERIT; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        ),
        f"GRANT {ENGINE_ROLE} TO CURRENT_USER",
        f"GRANT USAGE ON SCHEMA {schema} TO {REPORTING_ROLE}",
        *(f"CREATE VIEW {name} AS {query}" for name, query in VIEWS.items()),
        *(f"GRANT SELECT ON {name} TO {REPORTING_ROLE}" for name in VIEWS),
    ]
