# Builds a small Debian and boots it in systemd-nspawn; sourced by the tests in
# deploy. Needs root. The Debian is cached in ${XDG_CACHE_HOME:-~/.cache}/holdfast-nspawn.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
me=$(realpath --relative-to="$repo" "$0")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-nspawn
packages=systemd,systemd-sysv,dbus,ca-certificates,curl,git,jq,procps
services=(nftables ufw firewalld nsd) # installed after these, and not started at boot
machine=hf$$        # also names the network interface, whose name has at most 15 bytes
net=10.$((RANDOM % 200 + 20)).$((RANDOM % 250)) # of the link between host and machine
work=$(mktemp -d)
root=$work/root
nspawn=             # process ID of systemd-nspawn
leader=             # process ID, on the host, of the machine's systemd

die() { echo "$me: FAILED: $*" >&2; exit 1; }
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }
ok() { echo "   ok: $*"; }

# tree builds the cached Debian and prints its path. It is rebuilt if the list of
# packages has changed, or after 30 days.
tree() {
  local dir=$cache/bookworm-$(cksum <<<"$packages ${services[*]}" | cut -d' ' -f1)
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [[ ! -e $dir/made || -n $(find "$dir/made" -mtime +30) ]]; then
    echo "$me: debootstrap bookworm into $dir" >&2
    rm -rf "$dir" "$dir.new"
    debootstrap --variant=minbase --include="$packages" bookworm "$dir.new" http://deb.debian.org/debian >"$cache/log" 2>&1 ||
      { tail -5 "$cache/log" >&2; return 1; }
    systemd-nspawn -q -D "$dir.new" --register=no --keep-unit --pipe -E DEBIAN_FRONTEND=noninteractive \
      apt-get install -qq --no-install-recommends "${services[@]}" </dev/null >>"$cache/log" 2>&1 ||
      { tail -5 "$cache/log" >&2; return 1; }
    systemctl -q --root="$dir.new" disable "${services[@]}" || return 1
    rm -rf "$dir.new"/var/cache/apt/{archives/*.deb,*.bin} "$dir.new"/var/lib/apt/lists/*
    touch "$dir.new/made"
    mv "$dir.new" "$dir"
  fi
  exec 9>&-
  echo "$dir"
}

# copy_tree copies it to $root for this run.
copy_tree() {
  local from
  from=$(tree) || die "no Debian tree"
  cp -a --reflink=auto "$from" "$root"
  rm "$root/made"
}

# boot [NSPAWN OPTION...] boots $root and connects it to the host by its own link: the
# machine is $net.2, the host $net.1. No ports of the host are used.
boot() {
  systemd-nspawn -q -D "$root" -M "$machine" --register=no --keep-unit --network-veth "$@" \
    -b --console=pipe </dev/null >"$work/console" 2>&1 &
  nspawn=$!
  wait_for 30 "the machine's systemd" find_leader
  ip addr add "$net.1/24" dev "ve-$machine"
  ip link set "ve-$machine" up
  nsenter -t "$leader" -n ip addr add "$net.2/24" dev host0
  nsenter -t "$leader" -n ip link set host0 up
  wait_for 60 "the machine to boot" booted
}
find_leader() { leader=$(pgrep -P "$nspawn" -x systemd); }
booted() { [[ $(m systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; }

# m COMMAND... runs in the machine as root.
m() {
  nsenter -t "$leader" -a env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LANG=C.UTF-8 NO_COLOR=1 SYSTEMD_PAGER= "$@"
}

# wait_for SECONDS WHAT COMMAND... repeats COMMAND until it succeeds.
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if [[ -n $nspawn ]] && ! kill -0 "$nspawn" 2>/dev/null; then
      cat "$work/console" >&2
      die "systemd-nspawn ended while waiting for $what"
    fi
    ((SECONDS < end)) || die "$what: not in time"
    sleep 0.2
  done
}

# finish powers the machine off and removes it; a trap calls it at exit. A test that
# starts anything besides processes defines clean_up to stop it.
clean_up() { :; }
finish() {
  local rc=$?
  trap - EXIT
  set +e
  clean_up
  if [[ $rc -ne 0 && -n $leader ]]; then
    echo "--- end of the machine's journal"
    m journalctl -q --no-pager -o short-monotonic -n 60 | cut -c1-400
  fi
  finish_jobs
  # If a mount is left below $work, rm would delete files of the host.
  grep -q " $work/" /proc/self/mounts || rm -rf --one-file-system "$work"
  [[ $rc -eq 0 ]] || echo "$me: FAILED"
  exit "$rc"
}
finish_jobs() {
  [[ -z $leader ]] || kill -s RTMIN+4 "$leader" # poweroff
  for p in $(jobs -p); do [[ $p == "$nspawn" ]] || kill "$p"; done
  for _ in $(seq 100); do [[ -n $(jobs -pr) ]] || break; sleep 0.1; done
  kill -9 $(jobs -p)
  wait
} 2>/dev/null

[[ $(id -u) -eq 0 ]] || die "needs root: systemd-nspawn makes namespaces and mounts"
trap finish EXIT
"$repo/.ci/apt" debootstrap debian-archive-keyring systemd-container iproute2 procps
