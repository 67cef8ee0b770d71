#!/usr/bin/env bash
# Starts a Slurm cluster of this one machine, for trials of docs/scale/compare.sbatch. Needs root, and Debian's packages
# slurm-wlm and munge. `slurm_node.sh stop` ends it.
set -euo pipefail

state=/tmp/beft-slurm
if [ "${1:-start}" = stop ]; then
  pkill slurmd || true
  pkill slurmctld || true
  pkill munged || true
  exit 0
fi

host=$(hostname -s)
cpus=$(nproc)
mkdir -p "$state/ctld" "$state/d" /etc/slurm /run/munge /var/log/munge /var/lib/munge
[ -f /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none
chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge
chmod 400 /etc/munge/munge.key
chmod 755 /run/munge
pgrep munged >/dev/null || su munge -s /bin/sh -c /usr/sbin/munged

cat >/etc/slurm/slurm.conf <<CONF
ClusterName=beft
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName=$host CPUs=$cpus RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
CONF

slurmctld
slurmd
for _ in $(seq 30); do
  sinfo --noheader --format %t 2>/dev/null | grep -q idle && exit 0
  sleep 1
done
echo "slurm_node.sh: the node is not ready after 30 s; see $state/slurmctld.log and $state/slurmd.log" >&2
exit 1
