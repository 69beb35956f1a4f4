#!/bin/sh
# Makes what Loki needs of the object store: buckets (buckets.txt), a policy for them (loki-policy.json), and an account
# with that policy. Doing it again changes nothing.
#
# Reads MINIO_ADDRESS and the Secrets mounted below /run/secrets. Only the shell's own commands, cat and mc: the image
# has little more. Passwords are handed over in the environment or on standard input, not in arguments.
set -eu

here=${0%/*}
secrets=${SECRETS:-/run/secrets}
policy=loki-buckets

user=$(cat "$secrets/minio-root/username")
password=$(cat "$secrets/minio-root/password")
export MC_HOST_store="http://$user:$password@$MINIO_ADDRESS"

while read -r bucket; do
  case $bucket in
    '' | '#'*) ;;
    *) mc mb --ignore-existing "store/$bucket" ;;
  esac
done < "$here/buckets.txt"

mc admin policy create store "$policy" "$here/loki-policy.json"

account=$(cat "$secrets/minio-loki/username")
printf '%s\n%s\n' "$account" "$(cat "$secrets/minio-loki/password")" | mc admin user add store

# To attach a policy a second time is an error.
case $(mc admin policy entities store --user "$account") in
  *"$policy"*) ;;
  *) mc admin policy attach store "$policy" --user "$account" ;;
esac
