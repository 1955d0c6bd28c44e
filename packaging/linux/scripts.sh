# What the scripts of both packages do. `.ci/release` puts it at their head, and the number of the store's schema into it.
# shellcheck shell=sh

user=alert-gateway
etc=/etc/alert-gateway
store=/var/lib/alert-gateway/gateway.db
schema=@SCHEMA@

# An older gateway refuses the store of a newer one. Better to say so before the newer one is gone.
refuse_newer_store() {
    if [ ! -f "$store" ]; then return 0; fi
    # SQLite's user_version: four bytes at 60, the largest first.
    # shellcheck disable=SC2046 # four numbers
    set -- $(od -An -tu1 -j60 -N4 "$store")
    if [ $# != 4 ]; then return 0; fi
    found=$(((($1 * 256 + $2) * 256 + $3) * 256 + $4))
    if [ "$found" -le "$schema" ]; then return 0; fi
    cat >&2 <<END
alert-gateway: $store has schema $found, and this version knows up to $schema, so it is not installed.
To go back to it: stop the service, move gateway.db, gateway.db-wal and gateway.db-shm out of the folder, and put the
copy that the upgrade has left, gateway.db.schema-$schema, in the place of gateway.db. Alerts that came in since are not
in it. Then install this version again.
END
    return 1
}

make_user() {
    if getent passwd "$user" >/dev/null; then return 0; fi
    useradd --system --user-group --home-dir /var/lib/alert-gateway --no-create-home --shell /usr/sbin/nologin "$user"
}

# Folders that only the gateway may read. What is there already stays as it is.
make_folders() {
    for folder in "$etc/secrets" /var/lib/alert-gateway; do
        if [ -d "$folder" ]; then continue; fi
        mkdir -m 0700 "$folder"
        chown "$user:$user" "$folder"
    done
}

# Root writes the configuration, and the gateway reads it.
protect_configuration() {
    chgrp "$user" "$etc/gateway.toml"
    chmod 0640 "$etc/gateway.toml"
}

# A configuration with a mistake starts nothing, and ends nothing that runs.
is_usable() {
    set -- check --config "$etc/gateway.toml"
    if [ -f "$etc/env" ]; then set -- "$@" --env-file "$etc/env"; fi
    /usr/bin/alert-gateway "$@" >/dev/null 2>&1
}

say_next_steps() {
    cat <<END
alert-gateway: nothing is configured yet, so it is not started. Next:
  sudo alert-gateway init --dir $etc --data-dir /var/lib/alert-gateway
  sudo systemctl start alert-gateway
END
}
