#!/bin/sh
# Creates the namespace and the search attributes the workflows set; running it again changes
# nothing. Runs in temporalio/admin-tools. Needs TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, RETENTION.
set -eu

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi

# A new namespace reaches the server's caches within seconds.
tries=30
until known=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"); do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 2
done

for name in CaasTenant CaasStage CaasState; do
  case $known in
    *"$name"*) ;;
    *)
      temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
        --name "$name" --type Keyword
      ;;
  esac
done
echo "The namespace $TEMPORAL_NAMESPACE is ready."
