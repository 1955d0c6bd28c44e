//! `init --proxy`: the configuration of a reverse proxy before the gateway.

use crate::config::{self, Config};

/// Returns the lines of `[gateway]` that say whose word on the clients counts. All requests come
/// from the address of the proxy, which names the client in `X-Forwarded-For`.
pub fn trusted(proxy: Option<Proxy>) -> String {
    let line = "trusted_proxies = [\"127.0.0.1\"]";
    match proxy {
        Some(proxy) => format!(
            "# {} on this machine names each client in X-Forwarded-For, and is believed; of another machine, write its address.
# Without this line every request seems to come from the proxy.
{line}
",
            proxy.name()
        ),
        None => format!(
            "# The proxy is believed whom it asks for (X-Forwarded-For); without this line every request seems to come from it.
# {line}
"
        ),
    }
}

/// A reverse proxy with a configuration of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Proxy {
    Caddy,
    Nginx,
    Traefik,
}

impl Proxy {
    fn name(self) -> &'static str {
        match self {
            Self::Caddy => "Caddy",
            Self::Nginx => "nginx",
            Self::Traefik => "Traefik",
        }
    }

    /// Returns the name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Caddy => "Caddyfile",
            Self::Nginx => "nginx.conf",
            Self::Traefik => "traefik.yml",
        }
    }

    /// Returns where its file belongs.
    pub fn place(self) -> &'static str {
        match self {
            Self::Caddy => "/etc/caddy/Caddyfile, or what that imports",
            Self::Nginx => "/etc/nginx/conf.d/alert-gateway.conf",
            Self::Traefik => "the folder of Traefik's file provider",
        }
    }

    /// Returns a configuration that passes the URL on byte for byte, because signatures cover it.
    pub fn snippet(self, config: &Config) -> String {
        let url = &config.gateway.public_url;
        let host = url.host().unwrap_or_default();
        let path = url.path();
        let to = &config.gateway.listen;
        // Of a body that the gateway takes a proxy must not refuse a part.
        let body = config.sources.iter().map(|source| source.limits.body);
        let body = body
            .max()
            .unwrap_or(config::largest_body(config.gateway.memory))
            .div_ceil(1024);
        match self {
            Self::Caddy => format!(
                "# Caddyfile. Caddy gets the certificate by itself.
{host} {{
    # Not the gateway's /healthz, nor anything that is added to it later.
    handle {path}/in/* {{
        request_body {{
            max_size {body}KiB
        }}
        reverse_proxy {to}
    }}
    respond 404
}}
"
            ),
            Self::Nginx => format!(
                "# nginx, in the http block: a file in /etc/nginx/conf.d is there.
server {{
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name {host};
    ssl_certificate     /etc/ssl/{host}.pem;
    ssl_certificate_key /etc/ssl/{host}.key;
    location {path}/in/ {{
        # Without a path here, the URL passes byte for byte, and signatures cover it.
        proxy_pass http://{to};
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        client_max_body_size {body}k;
    }}
}}
"
            ),
            Self::Traefik => format!(
                "# Traefik, in a file of its dynamic configuration.
http:
  routers:
    alert-gateway:
      rule: Host(`{host}`) && PathPrefix(`{path}/in/`)
      service: alert-gateway
      tls: {{}}
  services:
    alert-gateway:
      loadBalancer:
        servers:
          - url: http://{to}
"
            ),
        }
    }
}
