#!/usr/bin/env bash
# What action.yml runs: it builds scaleproof, runs it, and tells the workflow the
# verdict. Inputs come by the environment, so that none can become a command.
set -euo pipefail

program="${RUNNER_TEMP:?}/scaleproof/scaleproof"
(cd "${ACTION_PATH:?}" && CGO_ENABLED=0 go build -o "$program" ./cmd/scaleproof)

case "${INPUT_COMMAND:?}" in
gate)
	args=(gate --file "$INPUT_PLAN" --baseline "$INPUT_BASELINE" --commit "${GITHUB_SHA:-}" --out "$INPUT_OUT")
	[ -z "$INPUT_HISTORY" ] || args+=(--history "$INPUT_HISTORY")
	;;
run)
	args=(run --file "$INPUT_PLAN" --out "$INPUT_OUT")
	;;
*)
	echo "::error title=scaleproof::the input command is gate or run"
	exit 2
	;;
esac

code=0
"$program" "${args[@]}" || code=$?

case "$code" in
0) verdict=pass ;;
1) verdict=fail ;;
3) verdict=inconclusive ;;
5) verdict=rollback-failed ;;
130) verdict=interrupted ;;
*) verdict=error ;;
esac
{
	echo "verdict=$verdict"
	echo "exit-code=$code"
	[ ! -d "$INPUT_OUT" ] || echo "report=$INPUT_OUT"
	# Two artifacts of one name are an error, and jobs of a matrix share theirs.
	echo "artifact=${INPUT_ARTIFACT:-scaleproof-report-${GITHUB_JOB:-job}-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')}"
} >>"${GITHUB_OUTPUT:?}"

if [ "$code" = 3 ] && [ "${INPUT_ALLOW_INCONCLUSIVE:-false}" = true ]; then
	exit 0
fi
exit "$code"
