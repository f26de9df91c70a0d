#!/usr/bin/env python3
"""Processes among each other, counted exactly while the node is killed: answers back and forth, families of processes, cron over a
day that a file for a clock lets pass in seconds.

  network_test.py          small (CTest)
  network_test.py --soak   10,000 messages; five generations of five

Each takes the computer that it runs on: one node here, two that find each other by URL in split_test.py.
"""
import sys
import time

import harness

SOAK = "--soak" in sys.argv
PATIENCE_S = 6000 if SOAK else 600  # of one wait; a soak may have little of its machine


def module(node):
    return node.json("put", harness.guest("process"), "--module")["id"]


def spawn(node, of, code, *tags):
    options = [argument for tag in tags for argument in ("--tag", tag)]
    return node.json("spawn", "--module", of, "--tag", "On-Boot=Data", "--data", code, *options)["process"]


def slots(node, pid):
    return node.get(f"/~altiplano/process/{pid}")["slots"]


def killed_twice(node, progress, first, second):
    """kill -9 when `progress()` has reached each of the two; a start after each."""
    for at in (first, second):
        harness.wait_for(lambda: progress() >= at, PATIENCE_S)
        node.kill()
        node.start()


def verify(node, pid):
    """Recomputed from the log and compared, where one folder has both log and results."""
    if node.data_is_apart:
        return {}
    verified = node.json("verify", pid)
    assert verified["identical"], verified
    return verified


def evaluated(node, pid, expression):
    return node.run("eval", pid, f"return {expression}")[0].strip()


def ping_pong_loses_and_doubles_nothing(computer=harness.Node):
    rounds = 5000 if SOAK else 150
    with computer() as node:
        of = module(node)
        pong = spawn(node, of, """
            Count = 0
            Handlers.add("Ping", function(m) return m.Action == "Ping" end, function(m)
              Count = Count + 1
              assert(tonumber(m.Data) == Count, "out of order")
              Send({ Target = m.From, Action = "Pong", Data = m.Data })
            end)""")
        ping = spawn(node, of, f"""
            Count = 0
            local function hit(n) Send({{ Target = "{pong}", Action = "Ping", Data = tostring(n) }}) end
            Handlers.add("Begin", function(m) return m.Action == "Begin" end, function() hit(1) end)
            Handlers.add("Pong", function(m) return m.Action == "Pong" end, function(m)
              Count = Count + 1
              assert(tonumber(m.Data) == Count, "out of order")
              if Count < {rounds} then hit(Count + 1) end
            end)""")
        node.run("send", ping, "--action", "Begin")
        killed_twice(node, lambda: slots(node, ping), rounds // 3, 2 * rounds // 3)
        harness.wait_for(lambda: slots(node, ping) == 2 + rounds, 2 * PATIENCE_S)
        harness.wait_for(lambda: node.json("status")["open_deliveries"] == 0, PATIENCE_S)
        assert slots(node, pong) == 1 + rounds, slots(node, pong)
        assert evaluated(node, ping, "Count") == str(rounds) and evaluated(node, pong, "Count") == str(rounds)
        assert node.get("/~altiplano/dead")["dead"] == []
        for pid in (ping, pong):
            verify(node, pid)


def a_family_has_every_child_once(computer=harness.Node):
    depth, width = (5, 5) if SOAK else (2, 3)
    # Each process hands its children the code that it was made of.
    code = f"""
        local tags = ao.env.Process.Tags
        Children, Told = 0, {{}}
        Handlers.add("Spawned", function(m) return m.Action == "Spawned" end, function(m)
          assert(not Told[m.Tags.Process], "told twice")
          Told[m.Tags.Process] = true
          Children = Children + 1
        end)
        if tonumber(tags.Level) < {depth} then
          for child = 1, {width} do
            Spawn(ao._module, {{ Data = tags.Code, Code = tags.Code, ["On-Boot"] = "Data", Authority = ao.authorities[1],
              Level = tostring(tonumber(tags.Level) + 1), Child = tostring(child) }})
          end
        end"""
    expected = sum(width**level for level in range(depth + 1))
    with computer() as node:
        of = module(node)
        root = spawn(node, of, code, "Level=0", f"Code={code}")
        processes = lambda: node.json("status")["processes"]
        killed_twice(node, processes, expected // 3, 2 * expected // 3)
        harness.wait_for(lambda: processes() == expected, 5 * PATIENCE_S)
        found, level = {root}, [root]
        for generation in range(depth):
            below = []
            for pid in level:
                # Its own slot, and one notice for each child.
                harness.wait_for(lambda: slots(node, pid) == 1 + width, PATIENCE_S)
                for slot in range(1, 1 + width):
                    tags = {tag["name"]: tag["value"] for tag in node.get(f"/~altiplano/log/{pid}/{slot}")["tags"]}
                    assert tags["Action"] == "Spawned", tags
                    below.append(tags["Process"])
            assert len(set(below)) == width ** (generation + 1), "a child was announced twice"
            found |= set(below)
            level = below
        for pid in level:
            assert slots(node, pid) == 1, "a leaf has no child"
        assert len(found) == processes() == expected
        assert evaluated(node, root, "Children") == str(width)
        assert node.get("/~altiplano/dead")["dead"] == []
        verify(node, root)
        print(f"        {expected} processes")


def cron_is_met_exactly_over_a_day(computer=harness.Node):
    minutes, day = 60_000, 86_400_000
    begin = 1_800_000_000_000
    with computer() as node:
        clock = node.folder / "clock"

        def at(ms):
            (node.folder / "clock.new").write_text(str(ms))
            (node.folder / "clock.new").rename(clock)

        node.stop()
        node.options += ["--cron-poll-ms", "50"]
        node.environment["ALTIPLANO_TEST_WALL_CLOCK"] = str(clock)
        at(begin)
        node.start()
        of = module(node)
        told = spawn(node, of, 'Five = 0 Handlers.add("Five", function(m) return m.Action == "Five" end, function() Five = Five + 1 end)')
        pid = spawn(node, of, f"""
            One, Five, Last = 0, 0, 0
            Handlers.add("One", function(m) return m.Action == "One" and m.Cron end, function(m)
              One = One + 1
              assert(m.Timestamp > Last, "time goes back") Last = m.Timestamp
            end)
            Handlers.add("Five", function(m) return m.Action == "Five" and m.Cron end, function(m)
              Five = Five + 1
              Send({{ Target = "{told}", Action = "Five" }})
            end)""", "Cron-Interval=1-minute", "Cron-Tag-Action=One", "Cron-Interval=5-minutes", "Cron-Tag-Action=Five")
        node.run("monitor", pid)
        reached = lambda: slots(node, told) - 1
        # Through the day in uneven steps, a message now and then, and two kills while cron runs.
        now, steps = begin, 0
        while now < begin + day:
            now = min(now + 37 * minutes + 123, begin + day)
            at(now)
            steps += 1
            if steps % 7 == 0:
                node.run("send", pid, "--action", "Hello")
            if steps in (13, 29):
                time.sleep(0.1)
                node.kill()
                node.start()
        # The day is over where it began: its last second is due, the one after is not.
        at(begin + day + 500)
        harness.wait_for(lambda: reached() >= 288, 120)
        harness.wait_for(lambda: node.json("status")["open_deliveries"] == 0, 120)
        first = node.get(f"/~altiplano/log/{pid}/0")["timestamp"] // 1000
        seconds = (begin + day + 500) // 1000 - first
        assert seconds == 86_400, seconds
        node.run("monitor", pid, "--stop")
        assert evaluated(node, pid, "One") == str(seconds // 60), evaluated(node, pid, "One")
        assert evaluated(node, pid, "Five") == str(seconds // 300)
        assert reached() == seconds // 300 and evaluated(node, told, "Five") == str(seconds // 300), reached()

        # Every one is in the pages, in order, once.
        seen, cursor = [], ""
        while True:
            page = node.get(f"/cu/cron/{pid}?limit=500&to={begin + day + 500}" + (f"&from={cursor}" if cursor else ""))
            seen += [edge["cursor"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            cursor = page["edges"][-1]["cursor"].replace("+", "%2B").replace("=", "%3D")
        assert len(seen) == len(set(seen)) == seconds // 60 + seconds // 300, len(seen)
        assert verify(node, pid).get("crons", len(seen)) == len(seen)
        print(f"        {len(seen)} evaluations by cron")


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--soak"]
    harness.main([ping_pong_loses_and_doubles_nothing, a_family_has_every_child_once, cron_is_met_exactly_over_a_day])
