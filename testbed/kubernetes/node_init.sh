#!/bin/bash
# The first process of a node: gives it folders, a /sys and a host name of its own, tells that it is ready, and stays.
# Run by node.py in new namespaces; with it ends all that runs on the node, and every mount. usage: node_init.sh NAME DIRECTORY
set -euo pipefail
name=$1 directory=$2
mkdir -p "$directory"/{run,lib,log,cgroup,opt}
hostname "$name"
# A new /sys shows the devices of this network namespace; the cgroups that are mounted in the old one are taken over.
mount --rbind /sys/fs/cgroup "$directory/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$directory/cgroup" /sys/fs/cgroup
for place in run:/run lib:/var/lib log:/var/log; do
  mount --bind "$directory/${place%%:*}" "${place#*:}"
done
# Kubelet and containerd hand mounts on to containers.
mount --make-rshared /
echo ready
sleep infinity &
wait # reaps what others leave behind, too
