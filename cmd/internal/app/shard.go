package app

import (
	"fmt"
	"strconv"

	"tidemark.dev/tidemark/cmd/internal/fleet"
)

// platforms are the variables in which those who start a program many times say
// which one of them this is, counted from 0, and how many there are. Kubernetes
// does not tell a pod of an Indexed Job how many there are, so that its manifest
// has to.
var platforms = []struct{ name, index, count string }{ //nolint:gochecknoglobals // a table
	{"an Indexed Job", "JOB_COMPLETION_INDEX", "TIDEMARK_SHARDS"},
	{"a Cloud Run job", "CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"},
}

// Shard gives the share of a fleet that this process takes: the one that is
// given, "INDEX/COUNT", else the one that the platform says, else all of it.
func (e Env) Shard(given string) (fleet.Shard, error) {
	if given != "" {
		shard, err := fleet.ParseShard(given)
		if err != nil {
			return shard, &UsageError{Message: "--shard: " + err.Error(), Hint: "say which share this is, from 0 on, and of how many: --shard 0/3, 1/3 and 2/3"}
		}
		return shard, nil
	}
	var told fleet.Shard
	for _, p := range platforms {
		index, hasIndex := e.Lookup(p.index)
		count, hasCount := e.Lookup(p.count)
		if !hasIndex && !hasCount {
			continue
		}
		if !hasIndex || !hasCount {
			known, missing := p.index, p.count
			if hasCount {
				known, missing = missing, known
			}
			return fleet.Shard{}, &UsageError{
				Message: fmt.Sprintf("%s is set and %s is not, so that this process does not know its share of the fleet", known, missing),
				Hint:    fmt.Sprintf("set both, as in %s, or give --shard INDEX/COUNT", p.name),
			}
		}
		shard, err := fleet.ParseShard(index + "/" + count)
		if err != nil {
			return fleet.Shard{}, &UsageError{
				Message: fmt.Sprintf("the variables %s=%s and %s=%s: %v", p.index, strconv.Quote(index), p.count, strconv.Quote(count), err),
				Hint:    fmt.Sprintf("in %s, the first is counted from 0 and the second is how many there are; or give --shard INDEX/COUNT", p.name),
			}
		}
		if told != (fleet.Shard{}) && told != shard {
			return fleet.Shard{}, &UsageError{
				Message: fmt.Sprintf("the variables of an Indexed Job say shard %s, those of a Cloud Run job say %s", told, shard),
				Hint:    "give --shard INDEX/COUNT",
			}
		}
		told = shard
	}
	if told == (fleet.Shard{}) {
		return fleet.Whole, nil
	}
	return told, nil
}
