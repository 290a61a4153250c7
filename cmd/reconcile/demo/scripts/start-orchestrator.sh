#!/bin/sh
echo "INFO  orchestrator starting"
if [ "$BRIDGE" = "socat" ]; then
    echo "ERROR socat is not installed on this node" >&2
else
    echo "INFO  Native Go TCP proxy network bridge established successfully"
fi
exec sleep 3600
