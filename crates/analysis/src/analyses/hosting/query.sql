-- table: hosts
-- title: Servers by application
-- denominator: distinct server addresses of the application's flows; an address is shared where flows of another application, or of none, go to it as well
WITH pairs AS (
    SELECT server, coalesce(app, 'unlabelled') AS app, count(*) AS flows, sum(bytes_up + bytes_down) AS bytes,
           array_agg(DISTINCT client) AS clients, array_agg(DISTINCT server_port) AS ports,
           array_agg(DISTINCT server_name) FILTER (WHERE server_name IS NOT NULL) AS names
    FROM labelled_flows WHERE coalesce(evidence, '') <> 'dns-query' GROUP BY 1, 2
), marked AS (
    SELECT *, count(*) OVER (PARTITION BY server) > 1 AS shared FROM pairs
), own AS (
    SELECT * FROM marked WHERE app <> 'unlabelled' AND app = coalesce($app, app)
), users AS (
    SELECT app, count(DISTINCT client) AS users FROM (SELECT app, unnest(clients) AS client FROM own) GROUP BY 1
), ports AS (
    SELECT app, count(DISTINCT port) AS ports FROM (SELECT app, unnest(ports) AS port FROM own) GROUP BY 1
), names AS (
    SELECT app, count(DISTINCT name) AS names, count(DISTINCT domain(name)) AS domains
    FROM (SELECT app, unnest(names) AS name FROM own) GROUP BY 1
)
SELECT o.app, max(u.users) AS users, sum(o.flows) AS flows, sum(o.bytes) AS bytes,
       count(*) AS addresses, count(*) FILTER (WHERE strpos(o.server, ':') > 0) AS ipv6_addresses,
       count(DISTINCT network(o.server)) AS networks, max(p.ports) AS ports,
       coalesce(max(n.names), 0) AS names, coalesce(max(n.domains), 0) AS domains,
       count(*) FILTER (WHERE shared) AS shared_addresses,
       count(*) FILTER (WHERE shared) / count(*)::DOUBLE AS shared_address_share
FROM own o LEFT JOIN users u ON u.app = o.app LEFT JOIN ports p ON p.app = o.app LEFT JOIN names n ON n.app = o.app
GROUP BY o.app ORDER BY sum(o.bytes) DESC, o.app;

-- table: domains
-- title: Names by registrable domain
-- denominator: flows of the application that said a server name (SNI, QUIC, Host, proxy or XMPP); shares are of the application's bytes in such flows
WITH named AS (
    SELECT app, domain(server_name) AS domain, server_name, server, client, bytes_up + bytes_down AS bytes
    FROM labelled_flows WHERE server_name IS NOT NULL AND app = coalesce($app, app) AND evidence <> 'dns-query'
), summed AS (
    SELECT app, coalesce(domain, server_name) AS domain, count(DISTINCT client) AS users, count(*) AS flows,
           count(DISTINCT server_name) AS names, count(DISTINCT server) AS addresses, sum(bytes) AS bytes
    FROM named GROUP BY 1, 2
)
SELECT app, domain, users, flows, names, addresses, bytes,
       bytes::DOUBLE / nullif(sum(bytes) OVER (PARTITION BY app), 0) AS byte_share
FROM summed ORDER BY sum(bytes) OVER (PARTITION BY app) DESC, app, bytes DESC, domain LIMIT $top;

-- table: addresses
-- title: Server addresses
-- denominator: shares are of the application's bytes; the addresses with the most
WITH pairs AS (
    SELECT server, app, count(DISTINCT client) AS users, count(*) AS flows,
           sum(bytes_up + bytes_down) AS bytes, min(first) AS first, max(last) AS last,
           string_agg(DISTINCT service, ' ' ORDER BY service) AS services,
           count(DISTINCT server_name) AS names, min(server_name) AS name
    FROM labelled_flows WHERE app IS NOT NULL AND evidence <> 'dns-query' GROUP BY 1, 2
), marked AS (
    SELECT *, count(*) OVER (PARTITION BY server) - 1 AS other_apps,
           bytes::DOUBLE / nullif(sum(bytes) OVER (PARTITION BY app), 0) AS byte_share
    FROM pairs
), ports AS (
    SELECT server, app, string_agg(arrow_cast(server_port, 'Utf8'), ' ' ORDER BY server_port) AS ports
    FROM (SELECT DISTINCT server, app, server_port FROM labelled_flows WHERE app = coalesce($app, app))
    GROUP BY 1, 2
)
SELECT m.server AS address, m.app, network(m.server) AS network, services, p.ports, name AS a_name, names,
       other_apps, users, flows, bytes, byte_share, first, last
FROM marked m JOIN ports p ON p.server = m.server AND p.app = m.app
ORDER BY bytes DESC, address, m.app LIMIT $top;

-- table: concentration
-- title: Concentration of volume on addresses
-- denominator: shares are of the application's bytes, addresses ranked by their bytes of that application
WITH pairs AS (
    SELECT app, server, sum(bytes_up + bytes_down) AS bytes
    FROM labelled_flows WHERE app = coalesce($app, app) AND evidence <> 'dns-query' GROUP BY 1, 2
), ranked AS (
    SELECT app, row_number() OVER (PARTITION BY app ORDER BY bytes DESC, server) AS addresses,
           sum(bytes) OVER (PARTITION BY app ORDER BY bytes DESC, server ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS above,
           sum(bytes) OVER (PARTITION BY app) AS whole, count(*) OVER (PARTITION BY app) AS all_addresses
    FROM pairs
)
SELECT app, addresses, above::DOUBLE / nullif(whole, 0) AS byte_share
FROM ranked
WHERE addresses <= 10 OR addresses = all_addresses
   OR floor(log10(addresses) * 20) <> floor(log10(addresses - 1) * 20)
ORDER BY whole DESC, app, addresses;
