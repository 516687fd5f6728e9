# Sourced by the scripts in this directory. They work in the root of the repository.
#
# HOLDFAST_CI is short, or full for the long forms of the tests that have one.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

HOLDFAST_CI=${HOLDFAST_CI:-short}
case $HOLDFAST_CI in
  short | full) ;;
  *) echo "$0: HOLDFAST_CI is '$HOLDFAST_CI'; it is short or full" >&2; exit 1 ;;
esac
full() { [ "$HOLDFAST_CI" = full ]; }

# step TEXT prints a heading with the seconds since the first script started.
export HOLDFAST_CI_STARTED=${HOLDFAST_CI_STARTED:-$(date +%s)}
step() { printf '\n== %s (%ss)\n' "$1" $(($(date +%s) - HOLDFAST_CI_STARTED)); }
