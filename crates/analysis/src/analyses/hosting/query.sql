-- table: hosts
-- title: Servers by application
-- denominator: distinct server addresses of the application's flows; an address is shared where flows of another application, or of none, go to it as well
WITH pairs AS (
    SELECT server, coalesce(app, 'unlabelled') AS app, count(*) AS flows, sum(bytes_up + bytes_down) AS bytes
    FROM labelled_flows WHERE coalesce(evidence, '') <> 'dns-query' GROUP BY 1, 2
), servers AS (
    SELECT server, count(*) > 1 AS shared FROM pairs GROUP BY 1
), hosts AS (
    SELECT app, sum(flows) AS flows, sum(bytes) AS bytes, count(*) AS addresses,
           count(*) FILTER (WHERE strpos(p.server, ':') > 0) AS ipv6_addresses,
           count(DISTINCT network(p.server)) AS networks, count(*) FILTER (WHERE s.shared) AS shared_addresses
    FROM pairs p JOIN servers s ON s.server = p.server WHERE app <> 'unlabelled' AND app = coalesce($app, app) GROUP BY 1
), own AS (
    SELECT app, client, server_port, server_name FROM labelled_flows
    WHERE app = coalesce($app, app) AND evidence <> 'dns-query'
), users AS (
    SELECT app, count(*) AS users FROM (SELECT DISTINCT app, client FROM own) GROUP BY 1
), ports AS (
    SELECT app, count(*) AS ports FROM (SELECT DISTINCT app, server_port FROM own) GROUP BY 1
), names AS (
    SELECT app, count(*) AS names, count(DISTINCT domain(server_name)) AS domains
    FROM (SELECT DISTINCT app, server_name FROM own WHERE server_name IS NOT NULL) GROUP BY 1
)
SELECT h.app, u.users, h.flows, h.bytes, h.addresses, h.ipv6_addresses, h.networks, p.ports,
       coalesce(n.names, 0) AS names, coalesce(n.domains, 0) AS domains,
       h.shared_addresses, h.shared_addresses / h.addresses::DOUBLE AS shared_address_share
FROM hosts h JOIN users u ON u.app = h.app JOIN ports p ON p.app = h.app LEFT JOIN names n ON n.app = h.app
ORDER BY h.bytes DESC, h.app;

-- table: domains
-- title: Names by registrable domain
-- denominator: flows of the application that said a server name (SNI, QUIC, Host, proxy or XMPP); shares are of the application's bytes in such flows
WITH named AS (
    SELECT app, server_name, server, client, count(*) AS flows, sum(bytes_up + bytes_down) AS bytes
    FROM labelled_flows WHERE server_name IS NOT NULL AND app = coalesce($app, app) AND evidence <> 'dns-query'
    GROUP BY 1, 2, 3, 4
), summed AS (
    SELECT app, coalesce(domain(server_name), server_name) AS domain, count(DISTINCT id(client)) AS users,
           sum(flows) AS flows, count(DISTINCT server_name) AS names, count(DISTINCT server) AS addresses,
           sum(bytes) AS bytes
    FROM named GROUP BY 1, 2
)
SELECT app, domain, users, flows, names, addresses, bytes,
       bytes::DOUBLE / nullif(sum(bytes) OVER (PARTITION BY app), 0) AS byte_share
FROM summed ORDER BY sum(bytes) OVER (PARTITION BY app) DESC, app, bytes DESC, domain LIMIT $top;

-- table: addresses
-- title: Server addresses
-- denominator: shares are of the application's bytes; the addresses with the most
WITH pairs AS (
    SELECT server, app, count(*) AS flows, sum(bytes_up + bytes_down) AS bytes, min(first) AS first, max(last) AS last
    FROM labelled_flows WHERE app IS NOT NULL AND evidence <> 'dns-query' GROUP BY 1, 2
), busiest AS (
    SELECT * FROM pairs WHERE app = coalesce($app, app) ORDER BY bytes DESC, server, app LIMIT $top
), apps AS (
    SELECT app, sum(bytes_up + bytes_down) AS bytes
    FROM labelled_flows WHERE app = coalesce($app, app) AND evidence <> 'dns-query' GROUP BY 1
), beside AS (
    SELECT b.server, b.app, b.flows, b.bytes, b.first, b.last, f.app = b.app AS own,
           f.app AS any_app, f.service, f.server_port, f.server_name, f.client
    FROM busiest b JOIN labelled_flows f ON f.server = b.server
    WHERE f.app IS NOT NULL AND f.evidence <> 'dns-query'
), told AS (
    SELECT server, app, flows, bytes, first, last, count(DISTINCT any_app) - 1 AS other_apps,
           count(DISTINCT id(client)) FILTER (WHERE own) AS users,
           count(DISTINCT server_name) FILTER (WHERE own) AS names, min(server_name) FILTER (WHERE own) AS a_name,
           string_agg(DISTINCT service, ' ' ORDER BY service) FILTER (WHERE own) AS services
    FROM beside GROUP BY 1, 2, 3, 4, 5, 6
), ports AS (
    SELECT server, app, string_agg(arrow_cast(server_port, 'Utf8'), ' ' ORDER BY server_port) AS ports
    FROM (SELECT DISTINCT server, app, server_port FROM labelled_flows WHERE app = coalesce($app, app) AND evidence <> 'dns-query')
    GROUP BY 1, 2
)
SELECT t.server AS address, t.app, network(t.server) AS network, t.services, p.ports, t.a_name, t.names,
       t.other_apps, t.users, t.flows, t.bytes, t.bytes::DOUBLE / nullif(a.bytes, 0) AS byte_share, t.first, t.last
FROM told t JOIN apps a ON a.app = t.app JOIN ports p ON p.server = t.server AND p.app = t.app
ORDER BY t.bytes DESC, address, t.app;

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
