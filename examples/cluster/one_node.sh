#!/usr/bin/env bash
# Stage 2 on the GPUs of one machine: replicas x pipeline stages x tensor parts = processes.
# NOT RUN where this was written: no machine with several GPUs was at hand. On CPUs the same command line is tested.
#
#   MODEL=Qwen/Qwen2-VL-2B-Instruct DATA=talks.jsonl OUT=runs/talks examples/cluster/one_node.sh
set -euo pipefail

: "${MODEL:?a checkpoint folder or hub id}" "${DATA:?a JSONL file or the folder of a text store}" "${OUT:?a folder}"
DP=${DP:-4} PP=${PP:-1} TP=${TP:-2}

RESUME=()
if [[ -d $OUT/checkpoints ]]; then
  RESUME=(--resume)
fi

exec torchrun --standalone --nproc-per-node "$((DP * PP * TP))" \
  -m qwen2vl_agent train "${STAGE:-stage2}" --dp "$DP" --pp "$PP" --tp "$TP" \
  --model "$MODEL" --data "$DATA" --out "$OUT" "${RESUME[@]}" "$@"
