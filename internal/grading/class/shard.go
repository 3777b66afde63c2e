package class

import (
	"strconv"
	"strings"

	"distlabs/internal/grading/result"
)

// ParseShard reads "i/n", with i from 1 to n.
func ParseShard(text string) (*result.Shard, error) {
	i, n, ok := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || index < 1 || index > count {
		return nil, usage("shard %q is not of the form i/n with i from 1 to n, such as 2/8", text)
	}
	return &result.Shard{Index: index, Count: count}, nil
}

// ShardFrom finds the shard that an engine's environment names: a Kubernetes
// Indexed Job's JOB_COMPLETION_INDEX, which counts from 0 (of JOB_COMPLETIONS,
// which the manifest has to set), or a Slurm array's SLURM_ARRAY_TASK_ID. count,
// if not 0, says how many there are. It is nil where there is no such engine.
//
// Slurm's own count is that of the tasks submitted together: when one task alone
// is submitted again it is 1. With count given, tasks are numbered from 0.
func ShardFrom(getenv func(string) string, count int) (*result.Shard, error) {
	if id := getenv("JOB_COMPLETION_INDEX"); id != "" {
		if count == 0 {
			n, err := strconv.Atoi(getenv("JOB_COMPLETIONS"))
			if err != nil {
				return nil, usage("JOB_COMPLETION_INDEX is %s, but of how many? set JOB_COMPLETIONS, or give --shards", id)
			}
			count = n
		}
		return numbered("JOB_COMPLETION_INDEX", id, 0, 1, count)
	}
	id := getenv("SLURM_ARRAY_TASK_ID")
	if id == "" {
		if count != 0 {
			return nil, usage("--shards %d is for an engine that sets JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID; elsewhere give --shard i/%d", count, count)
		}
		return nil, nil
	}
	if count != 0 {
		return numbered("SLURM_ARRAY_TASK_ID", id, 0, 1, count)
	}
	low, err1 := strconv.Atoi(getenv("SLURM_ARRAY_TASK_MIN"))
	count, err2 := strconv.Atoi(getenv("SLURM_ARRAY_TASK_COUNT"))
	if err1 != nil || err2 != nil {
		return nil, usage("SLURM_ARRAY_TASK_ID is %s, but SLURM_ARRAY_TASK_MIN and SLURM_ARRAY_TASK_COUNT do not say of how many: give --shards", id)
	}
	step, err := strconv.Atoi(getenv("SLURM_ARRAY_TASK_STEP"))
	if err != nil || step < 1 {
		step = 1
	}
	return numbered("SLURM_ARRAY_TASK_ID", id, low, step, count)
}

func numbered(name, id string, low, step, count int) (*result.Shard, error) {
	n, err := strconv.Atoi(id)
	at := n - low
	if err != nil || at < 0 || at%step != 0 || at/step >= count {
		return nil, usage("%s is %s, which is none of %d tasks numbered from %d in steps of %d", name, id, count, low, step)
	}
	return &result.Shard{Index: at/step + 1, Count: count}, nil
}

func sameShard(a, b *result.Shard) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func shardName(s *result.Shard) string {
	if s == nil {
		return "all"
	}
	return "shard " + s.String()
}
