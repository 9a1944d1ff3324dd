"""Makes the demo's log and sensor samples: two days, one incident, the same bytes every time.

    python samples/make.py            rewrites samples/raw/logs and samples/raw/sensors, and deletes what it does not make there
    python samples/make.py --check    writes nothing; says whether the files on disk are what this script makes

Everything here is invented: the company, its machines, its people and its addresses (which come from the blocks that RFC 5737
and RFC 3849 set aside for examples). The formats are those of the real sources, quirks included; MANIFEST.logs-and-sensors.md
counts them.

The story. A company prints and issues bank cards. Press 7 reports to the Kafka topic `telemetry`, customers' apps talk to the
gateway, and the gateway needs Kafka for every payment.

    Tue 10 March  02:10  both brokers are started after maintenance; a working day follows
                  18:21  a network blip of some seconds; nothing is lost
                  22:14  a brute-force attack on the ssh gate, port scans of the brokers; it ends by itself
    Wed 11 March  11:05  press 7 loses its coolant, at 11:20 its temperature starts to climb
                  11:40  its alarms flood the topic telemetry: kafka0's disk fills
                  13:20  kafka0 falls behind, in-sync replica sets shrink and grow
                  14:07  disk full: kafka0 halts; kafka1 becomes the controller; payments fail; telemetry has no leader
                  14:31  kafka2 pauses too: for five minutes payments lack a second replica
                  14:58  an engineer makes room, 15:12 kafka0 is back, 15:37 the old segments are dropped
                  15:40  press 7 runs again

The same bytes on every machine: chance comes from `Random.random()` alone (the only method whose sequence Python promises to
keep), curves are straight lines between points, and there is neither a logarithm nor a sine, whose last digit may differ between
C libraries.
"""

# ruff: noqa: E501  (log lines and stack traces are as long as the software writes them)

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TypeVar

SEED = "millrace 2026-03"
RAW = Path(__file__).resolve().parent / "raw"

T = TypeVar("T")


def day(number: int, clock: str = "00:00:00") -> datetime:
    """A moment of the story, in UTC: 11 and '14:07:31' are 2026-03-11 14:07:31."""
    return datetime.fromisoformat(f"2026-03-{number}T{clock}").replace(tzinfo=UTC)


START, END = day(10), day(12)
BROKER_0_UP, BROKER_1_UP = day(10, "02:10:14"), day(10, "02:16:41")
BLIP = day(10, "18:21:07")
ATTACK, ATTACK_OVER = day(10, "22:14:20"), day(10, "22:41:05")
COOLANT_LOST, HEATING, FLOOD = day(11, "11:05:00"), day(11, "11:20:00"), day(11, "11:40:00")
LAGGING = day(11, "13:20:00")
DISK_FULL, HALT, FAIL_OVER = day(11, "13:52:00"), day(11, "14:07:31"), day(11, "14:07:38")
PAUSE, PAUSE_OVER = day(11, "14:31:00"), day(11, "14:36:10")
ENGINEER, RESTART, IN_SYNC, ROOM_MADE = (
    day(11, "14:51:30"),
    day(11, "15:12:20"),
    day(11, "15:19:40"),
    day(11, "15:37:00"),
)
PRESS_BACK = day(11, "15:40:00")


def main(arguments: Sequence[str]) -> int:
    """Writes the samples, or with --check compares; 0 = well, 1 = the files on disk differ."""
    if list(arguments) not in ([], ["--check"]):
        print(f"make.py: what is {' '.join(arguments)!r}? Say nothing (write) or --check (compare).", file=sys.stderr)
        return 2
    made = samples()
    if arguments:
        wrong = differences(made)
        for line in wrong:
            print(line)
        print(f"{len(made)} files: " + ("as made" if not wrong else f"{len(wrong)} differ; mend: python samples/make.py"))
        return 1 if wrong else 0
    for stale in on_disk() - made.keys():
        (RAW / stale).unlink()
    for name, content in made.items():
        (RAW / name).parent.mkdir(parents=True, exist_ok=True)
        (RAW / name).write_bytes(content)
    print(f"wrote {len(made)} files, {sum(map(len, made.values())):,} bytes, below {RAW}")
    return 0


def samples() -> dict[str, bytes]:
    """Every file of the log and sensor samples: path below samples/raw -> bytes."""
    files = {
        "logs/apache_access/apache_logs": access_log(),
        "logs/sshd_auth/auth.log": auth_log(),
        "sensors/air_quality_it/AirQualityUCI.csv": air_quality(),
    }
    for broker, lines in ((0, kafka0()), (1, kafka1())):
        files |= {f"logs/kafka/kafka{broker}/{name}": content for name, content in lines.files().items()}
    files |= {f"logs/loghub/{name}": content for name, content in loghub().items()}
    files |= {f"sensors/nab/{name}": content for name, content in nab().items()}
    files |= {f"sensors/beijing_air/{name}": content for name, content in beijing_air().items()}
    files |= {f"sensors/occupancy/{name}": content for name, content in occupancy().items()}
    return dict(sorted(files.items()))


def differences(made: dict[str, bytes]) -> list[str]:
    """What is missing, changed or left over on disk, one line each."""
    disk = on_disk()
    wrong = [f"missing  {name}" for name in made if name not in disk]
    wrong += [f"changed  {name}" for name in made if name in disk and (RAW / name).read_bytes() != made[name]]
    return sorted(wrong + [f"left over  {name}" for name in disk - made.keys()])


def on_disk() -> set[str]:
    """The paths, below samples/raw, of the log and sensor files that lie there."""
    return {path.relative_to(RAW).as_posix() for folder in ("logs", "sensors") for path in (RAW / folder).rglob("*") if path.is_file()}


# --- chance and curves ------------------------------------------------------------------------------------------------


def chance(name: str) -> Random:
    """A source of chance of its own per file, so that a change in one file leaves the others as they were."""
    return Random(f"{SEED} {name}")


def between(rng: Random, low: float, high: float) -> float:
    """A number from low up to, not including, high."""
    return low + (high - low) * rng.random()


def whole(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))


def one_of(rng: Random, choices: Sequence[T]) -> T:
    """One of some things, each as likely as the others."""
    return choices[int(rng.random() * len(choices))]


def noise(rng: Random, width: float) -> float:
    """About normal, around 0 and never beyond +-width: the mean of four uniform numbers (no logarithm needed)."""
    return width * ((rng.random() + rng.random() + rng.random() + rng.random()) / 2 - 1)


def along(points: Sequence[tuple[datetime, float]], when: datetime) -> float:
    """The value at a moment on the straight lines between points; flat before the first and after the last."""
    if when <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if when <= right:
            return low + (high - low) * ((when - left).total_seconds() / (right - left).total_seconds())
    return points[-1][1]


def by_hour(values: Sequence[float], when: datetime) -> float:
    """The value of a daily curve of 24 points, one at each full hour, on the straight lines between them."""
    part = (when.minute * 60 + when.second) / 3600
    return values[when.hour] * (1 - part) + values[(when.hour + 1) % 24] * part


def moments(start: datetime, stop: datetime, step: timedelta) -> Iterator[datetime]:
    """Every step from start on, before stop."""
    while start < stop:
        yield start
        start += step


def ms(number: float) -> timedelta:
    """Whole milliseconds."""
    return timedelta(milliseconds=int(number))


def seconds(number: float) -> timedelta:
    """Seconds, cut to the millisecond that a log can show."""
    return timedelta(milliseconds=int(number * 1000))


def text(lines: Iterable[str], end: str = "\n") -> bytes:
    """Lines as a file's bytes, each with its line end."""
    return "".join(line + end for line in lines).encode()


# --- kafka: log4j 1.2 with an hourly DailyRollingFileAppender, as Kafka 0.10 ships it ------------------------------------

REPLICAS: dict[tuple[str, int], tuple[int, ...]] = {  # (topic, partition) -> brokers, the preferred leader first
    **{("payments", n): r for n, r in enumerate([(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1)])},
    **{("cards", n): r for n, r in enumerate([(1, 0, 2), (2, 1, 0), (0, 1, 2)])},
    **{("telemetry", n): (n % 3,) for n in range(6)},  # one replica: cheap, and the reason why it goes dark
    **{("__consumer_offsets", n): (n % 3, (n + 1) % 3, (n + 2) % 3) for n in range(10)},
}
FOLDER = "/var/lib/kafka"
ROLLS = (0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 3, 2, 2, 3, 2, 2, 1, 1, 0, 0, 0, 0, 0)  # new segments an hour, busiest topic

KAFKA_CONFIG = """\
advertised.host.name = null
advertised.listeners = PLAINTEXT://kafka{broker}:9092
authorizer.class.name =\x20
auto.create.topics.enable = false
auto.leader.rebalance.enable = true
background.threads = 10
broker.id = {broker}
broker.rack = null
compression.type = producer
connections.max.idle.ms = 600000
controlled.shutdown.enable = true
controller.socket.timeout.ms = 30000
default.replication.factor = 3
delete.topic.enable = true
inter.broker.protocol.version = 0.10.1-IV2
leader.imbalance.check.interval.seconds = 14400
leader.imbalance.per.broker.percentage = 10
listeners = PLAINTEXT://0.0.0.0:9092
log.cleaner.dedupe.buffer.size = 134217728
log.cleaner.enable = true
log.cleaner.io.max.bytes.per.second = 1.7976931348623157E308
log.cleaner.threads = 1
log.cleanup.policy = [delete]
log.dirs = /var/lib/kafka
log.flush.interval.messages = 9223372036854775807
log.flush.offset.checkpoint.interval.ms = 60000
log.retention.bytes = -1
log.retention.check.interval.ms = 300000
log.retention.hours = 24
log.segment.bytes = 1073741824
log.segment.delete.delay.ms = 60000
message.max.bytes = 1000012
metric.reporters = []
min.insync.replicas = 2
num.io.threads = 8
num.network.threads = 3
num.partitions = 3
num.recovery.threads.per.data.dir = 1
num.replica.fetchers = 1
offsets.retention.check.interval.ms = 21600000
offsets.topic.num.partitions = 10
offsets.topic.replication.factor = 3
queued.max.requests = 500
replica.lag.time.max.ms = 10000
replica.socket.timeout.ms = 30000
request.timeout.ms = 30000
sasl.enabled.mechanisms = [GSSAPI]
sasl.kerberos.principal.to.local.rules = [DEFAULT]
security.inter.broker.protocol = PLAINTEXT
socket.request.max.bytes = 104857600
ssl.enabled.protocols = [TLSv1.2, TLSv1.1, TLSv1]
ssl.keystore.password = null
ssl.keystore.type = JKS
unclean.leader.election.enable = false
zookeeper.connect = zookeeper1:2181
zookeeper.connection.timeout.ms = 6000
zookeeper.session.timeout.ms = 6000"""

NO_SPACE = """\
java.io.IOException: No space left on device
	at sun.nio.ch.FileDispatcherImpl.write0(Native Method)
	at sun.nio.ch.FileDispatcherImpl.pwrite(FileDispatcherImpl.java:66)
	at sun.nio.ch.IOUtil.writeFromNativeBuffer(IOUtil.java:89)
	at sun.nio.ch.IOUtil.write(IOUtil.java:65)
	at sun.nio.ch.FileChannelImpl.write(FileChannelImpl.java:211)"""

CLEANER_DIED = f"""{NO_SPACE}
	at org.apache.kafka.common.record.MemoryRecords.writeFullyTo(MemoryRecords.java:98)
	at kafka.log.FileMessageSet.append(FileMessageSet.scala:163)
	at kafka.log.LogSegment.append(LogSegment.scala:98)
	at kafka.log.Cleaner.cleanInto(LogCleaner.scala:512)
	at kafka.log.Cleaner.cleanSegments(LogCleaner.scala:426)
	at kafka.log.Cleaner$$anonfun$clean$4.apply(LogCleaner.scala:371)
	at kafka.log.Cleaner$$anonfun$clean$4.apply(LogCleaner.scala:370)
	at scala.collection.immutable.List.foreach(List.scala:381)
	at kafka.log.Cleaner.clean(LogCleaner.scala:370)
	at kafka.log.LogCleaner$CleanerThread.cleanOrSleep(LogCleaner.scala:242)
	at kafka.log.LogCleaner$CleanerThread.doWork(LogCleaner.scala:221)
	at kafka.utils.ShutdownableThread.run(ShutdownableThread.scala:63)"""

CHECKPOINT_FAILED = """\
java.io.IOException: No space left on device
	at java.io.FileOutputStream.writeBytes(Native Method)
	at java.io.FileOutputStream.write(FileOutputStream.java:326)
	at sun.nio.cs.StreamEncoder.writeBytes(StreamEncoder.java:221)
	at sun.nio.cs.StreamEncoder.implFlushBuffer(StreamEncoder.java:291)
	at sun.nio.cs.StreamEncoder.implFlush(StreamEncoder.java:295)
	at java.io.BufferedWriter.flush(BufferedWriter.java:254)
	at kafka.server.OffsetCheckpoint.write(OffsetCheckpoint.scala:61)
	at kafka.log.LogManager.kafka$log$LogManager$$checkpointLogsInDir(LogManager.scala:356)
	at kafka.log.LogManager$$anonfun$checkpointRecoveryPointOffsets$1.apply(LogManager.scala:347)
	at scala.collection.mutable.ArrayOps$ofRef.foreach(ArrayOps.scala:186)
	at kafka.log.LogManager.checkpointRecoveryPointOffsets(LogManager.scala:347)
	at kafka.utils.KafkaScheduler$$anonfun$1.apply$mcV$sp(KafkaScheduler.scala:110)
	at kafka.utils.CoreUtils$$anon$1.run(CoreUtils.scala:57)
	at java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1142)
	at java.lang.Thread.run(Thread.java:745)"""

HALTED = f"""\
kafka.common.KafkaStorageException: I/O exception in append to log 'telemetry-3'
	at kafka.log.Log.append(Log.scala:349)
	at kafka.cluster.Partition$$anonfun$10.apply(Partition.scala:443)
	at kafka.cluster.Partition$$anonfun$10.apply(Partition.scala:429)
	at kafka.utils.CoreUtils$.inLock(CoreUtils.scala:234)
	at kafka.utils.CoreUtils$.inReadLock(CoreUtils.scala:240)
	at kafka.cluster.Partition.appendMessagesToLeader(Partition.scala:429)
	at kafka.server.ReplicaManager$$anonfun$appendToLocalLog$2.apply(ReplicaManager.scala:407)
	at scala.collection.TraversableLike$$anonfun$map$1.apply(TraversableLike.scala:234)
	at scala.collection.mutable.HashMap.foreach(HashMap.scala:99)
	at kafka.server.ReplicaManager.appendToLocalLog(ReplicaManager.scala:393)
	at kafka.server.ReplicaManager.appendMessages(ReplicaManager.scala:330)
	at kafka.server.KafkaApis.handleProducerRequest(KafkaApis.scala:436)
	at kafka.server.KafkaApis.handle(KafkaApis.scala:78)
	at kafka.server.KafkaRequestHandler.run(KafkaRequestHandler.scala:60)
	at java.lang.Thread.run(Thread.java:745)
Caused by: {NO_SPACE}
	at org.apache.kafka.common.record.MemoryRecords.writeFullyTo(MemoryRecords.java:98)
	at kafka.log.FileMessageSet.append(FileMessageSet.scala:163)
	at kafka.log.LogSegm"""  # the disk is full: log4j could not finish the line either, and the file ends without a newline

FETCH_FAILED = """\
java.io.IOException: Connection to {other} was disconnected before the response was read
	at kafka.utils.NetworkClientBlockingOps$$anonfun$blockingSendAndReceive$extension$1$$anonfun$apply$1.apply(NetworkClientBlockingOps.scala:115)
	at scala.Option.foreach(Option.scala:257)
	at kafka.utils.NetworkClientBlockingOps$.recursivePoll$1(NetworkClientBlockingOps.scala:137)
	at kafka.utils.NetworkClientBlockingOps$.blockingSendAndReceive$extension(NetworkClientBlockingOps.scala:108)
	at kafka.server.ReplicaFetcherThread.sendRequest(ReplicaFetcherThread.scala:253)
	at kafka.server.ReplicaFetcherThread.fetch(ReplicaFetcherThread.scala:238)
	at kafka.server.AbstractFetcherThread.processFetchRequest(AbstractFetcherThread.scala:118)
	at kafka.server.AbstractFetcherThread.doWork(AbstractFetcherThread.scala:103)
	at kafka.utils.ShutdownableThread.run(ShutdownableThread.scala:63)"""

NOT_READY = """\
java.io.IOException: Connection to kafka{other}:9092 (id: {other} rack: null) failed
	at kafka.utils.NetworkClientBlockingOps$.awaitReady$1(NetworkClientBlockingOps.scala:83)
	at kafka.utils.NetworkClientBlockingOps$.blockingReady$extension(NetworkClientBlockingOps.scala:93)
	at kafka.server.ReplicaFetcherThread.sendRequest(ReplicaFetcherThread.scala:248)
	at kafka.server.ReplicaFetcherThread.fetch(ReplicaFetcherThread.scala:238)
	at kafka.server.AbstractFetcherThread.processFetchRequest(AbstractFetcherThread.scala:118)
	at kafka.utils.ShutdownableThread.run(ShutdownableThread.scala:63)"""

NO_REPLICA = """\
kafka.common.NoReplicaOnlineException: No replica for partition [{topic},{n}] is alive. Live brokers are: [Set(1, 2)], Assigned replicas are: [List(0)]
	at kafka.controller.OfflinePartitionLeaderSelector.selectLeader(PartitionLeaderSelector.scala:73)
	at kafka.controller.PartitionStateMachine.electLeaderForPartition(PartitionStateMachine.scala:344)
	at kafka.controller.PartitionStateMachine.kafka$controller$PartitionStateMachine$$handleStateChange(PartitionStateMachine.scala:205)
	at scala.collection.mutable.HashMap.foreach(HashMap.scala:99)
	at kafka.controller.PartitionStateMachine.triggerOnlinePartitionStateChange(PartitionStateMachine.scala:117)
	at kafka.controller.KafkaController.onControllerFailover(KafkaController.scala:336)
	at kafka.server.ZookeeperLeaderElector.elect(ZookeeperLeaderElector.scala:84)
	at org.I0Itec.zkclient.ZkClient$9.run(ZkClient.java:824)
	at org.I0Itec.zkclient.ZkEventThread.run(ZkEventThread.java:71)"""

TOO_FEW_REPLICAS = """\
org.apache.kafka.common.errors.NotEnoughReplicasException: Number of insync replicas for partition [payments,{n}] is [1], below required minimum [2]"""

INVALID_RECEIVE = """\
org.apache.kafka.common.network.InvalidReceiveException: Invalid receive (size = 1195725856 larger than 104857600)
	at org.apache.kafka.common.network.NetworkReceive.readFromReadableChannel(NetworkReceive.java:91)
	at org.apache.kafka.common.network.NetworkReceive.readFrom(NetworkReceive.java:71)
	at org.apache.kafka.common.network.KafkaChannel.receive(KafkaChannel.java:154)
	at org.apache.kafka.common.network.KafkaChannel.read(KafkaChannel.java:135)
	at org.apache.kafka.common.network.Selector.poll(Selector.java:320)
	at kafka.network.Processor.poll(SocketServer.scala:476)
	at kafka.network.Processor.run(SocketServer.scala:416)
	at java.lang.Thread.run(Thread.java:745)"""  # 1195725856 is "GET " read as a length: somebody spoke HTTP to the broker


# Scenes: one event a line, as 'seconds file LEVEL logger message'; {..} is filled in, ␣ is a space at the end of a message.

STARTING = """
0.121 server INFO kafka.server.KafkaServer starting
0.133 server INFO kafka.server.KafkaServer Connecting to zookeeper on zookeeper1:2181
0.402 server INFO kafka.server.KafkaServer Cluster ID = m1LLraceQfWk3sYxT0dPzA
0.431 server INFO kafka.log.LogManager Loading logs.
"""
RECOVERING = """
0.000 server WARN kafka.log.Log Found a corrupted index file due to requirement failed: Corrupt index found, index file ({index}.index) has non-zero size but the last offset is {end} which is no larger than the base offset {end}.}}. deleting {index}.timeindex, {index}.index and rebuilding index...
0.001 server INFO kafka.log.Log Recovering unflushed segment {end} in log {topic}-{n}.
"""
STARTED = """
0.004 server INFO kafka.log.LogManager Logs loading complete in {took} ms.
0.030 server INFO kafka.log.LogManager Starting log cleanup with a period of 300000 ms.
0.031 server INFO kafka.log.LogManager Starting log flusher with a default period of 9223372036854775807 ms.
0.033 log-cleaner INFO kafka.log.LogCleaner Starting the log cleaner
0.036 log-cleaner INFO kafka.log.LogCleaner [kafka-log-cleaner-thread-0], Starting␣
0.071 server INFO kafka.network.Acceptor Awaiting socket connections on 0.0.0.0:9092.
0.073 server INFO kafka.network.SocketServer [Socket Server on Broker {b}], Started 1 acceptor threads
0.090 server INFO kafka.server.DelayedOperationPurgatory$ExpiredOperationReaper [ExpirationReaper-{b}], Starting␣
0.091 server INFO kafka.server.DelayedOperationPurgatory$ExpiredOperationReaper [ExpirationReaper-{b}], Starting␣
0.092 server INFO kafka.server.DelayedOperationPurgatory$ExpiredOperationReaper [ExpirationReaper-{b}], Starting␣
0.120 server INFO kafka.coordinator.GroupCoordinator [GroupCoordinator {b}]: Starting up.
0.121 server INFO kafka.coordinator.GroupCoordinator [GroupCoordinator {b}]: Startup complete.
0.122 server INFO kafka.coordinator.GroupMetadataManager [Group Metadata Manager on Broker {b}]: Removed 0 expired offsets in 9 milliseconds.
0.140 server INFO kafka.utils.Mx4jLoader$ Will not load MX4J, mx4j-tools.jar is not in the classpath
0.151 server INFO kafka.server.ClientQuotaManager$ThrottledRequestReaper [ThrottledRequestReaper-Fetch], Starting␣
0.151 server INFO kafka.server.ClientQuotaManager$ThrottledRequestReaper [ThrottledRequestReaper-Produce], Starting␣
0.160 server INFO kafka.utils.ZKCheckedEphemeral Creating /brokers/ids/{b} (is it secure? false)
0.165 server INFO kafka.utils.ZKCheckedEphemeral Result of znode creation is: OK
0.167 server INFO kafka.utils.ZkUtils Registered broker {b} at path /brokers/ids/{b} with addresses: PLAINTEXT -> EndPoint(kafka{b},9092,PLAINTEXT)
0.180 server INFO org.apache.kafka.common.utils.AppInfoParser Kafka version : 0.10.1.0
0.181 server INFO kafka.server.KafkaServer [Kafka Server {b}], started
"""
BECOME_FOLLOWER = """
0.000 state-change TRACE state.change.logger Broker {b} received LeaderAndIsr request PartitionState(controllerEpoch={epoch}, leader={leader}, leaderEpoch={term}, isr=[{leader}], zkVersion={zk}, replicas={replicas}) correlation id {id} from controller {boss} epoch {epoch} for partition [{topic},{n}]
0.120 state-change TRACE state.change.logger Broker {b} handling LeaderAndIsr request correlationId {id} from controller {boss} epoch {epoch} starting the become-follower transition for partition [{topic},{n}]
0.160 server INFO kafka.log.Log Truncating log {topic}-{n} to offset {end}.
0.260 state-change TRACE state.change.logger Broker {b} completed LeaderAndIsr request correlationId {id} from controller {boss} epoch {epoch} for the become-follower transition for partition [{topic},{n}]
"""
ELECTED = """
-0.060 server INFO kafka.utils.ZKCheckedEphemeral Creating /controller (is it secure? false)
-0.052 server INFO kafka.utils.ZKCheckedEphemeral Result of znode creation is: OK
-0.051 server INFO kafka.server.ZookeeperLeaderElector {b} successfully elected as leader
0.000 controller INFO kafka.controller.KafkaController [Controller {b}]: Broker {b} starting become controller state transition
0.019 controller INFO kafka.controller.KafkaController [Controller {b}]: Controller {b} incremented epoch to {epoch}
0.361 controller INFO kafka.controller.KafkaController [Controller {b}]: Partitions undergoing preferred replica election:␣
0.362 controller INFO kafka.controller.KafkaController [Controller {b}]: Currently active brokers in the cluster: Set({live})
0.363 controller INFO kafka.controller.KafkaController [Controller {b}]: Currently shutting brokers in the cluster: Set()
0.364 controller INFO kafka.controller.KafkaController [Controller {b}]: Current list of topics in the cluster: Set({topics})
"""
NEW_LEADER = """
0.003 controller DEBUG kafka.controller.OfflinePartitionLeaderSelector [OfflinePartitionLeaderSelector]: Some broker in ISR is alive for [{topic},{n}]. Select {leader} from ISR {isr} to be the leader.
0.004 controller INFO kafka.controller.OfflinePartitionLeaderSelector [OfflinePartitionLeaderSelector]: Selected new leader and ISR {{"leader":{leader},"leader_epoch":{term},"isr":[{isr}]}} for offline partition [{topic},{n}]
0.009 state-change TRACE state.change.logger Controller {b} epoch {epoch} elected leader {leader} for Offline partition [{topic},{n}]
0.010 state-change TRACE state.change.logger Controller {b} epoch {epoch} changed partition [{topic},{n}] from OfflinePartition to OnlinePartition with leader {leader}
0.601 state-change TRACE state.change.logger Controller {b} epoch {epoch} sending become-leader LeaderAndIsr request (Leader:{leader},ISR:{isr},LeaderEpoch:{term},ControllerEpoch:{epoch}) to broker {leader} for partition [{topic},{n}]
0.602 state-change TRACE state.change.logger Controller {b} epoch {epoch} sending become-follower LeaderAndIsr request (Leader:{leader},ISR:{isr},LeaderEpoch:{term},ControllerEpoch:{epoch}) to broker {follower} for partition [{topic},{n}]
0.640 controller WARN kafka.controller.ControllerChannelManager [Channel manager on controller {b}]: Not sending request {{controller_id={b},controller_epoch={epoch},delete_partitions=false,partitions=[{{topic={topic},partition={n}}}]}} to broker 0, since it is offline.
"""
IN_OFFICE = """
0.700 controller DEBUG kafka.controller.PartitionStateMachine [Partition state machine on Controller {b}]: After leader election, leader cache is updated to Map({cache})
0.702 controller INFO kafka.controller.KafkaController [Controller {b}]: Broker {b} is ready to serve as the new controller with epoch {epoch}
0.703 controller INFO kafka.controller.KafkaController [Controller {b}]: Starting preferred replica leader election for partitions␣
0.709 controller INFO kafka.controller.KafkaController [Controller {b}]: starting the partition rebalance scheduler
"""
JOINED = """
0.000 controller INFO kafka.controller.ReplicaStateMachine$BrokerChangeListener [BrokerChangeListener on Controller {b}]: Broker change listener fired for path /brokers/ids with children {live}
0.007 controller INFO kafka.controller.ReplicaStateMachine$BrokerChangeListener [BrokerChangeListener on Controller {b}]: Newly added brokers: {o}, deleted brokers: , all live brokers: {live}
0.009 controller DEBUG kafka.controller.ControllerChannelManager [Channel manager on controller {b}]: Controller {b} trying to connect to broker {o}
0.018 controller INFO kafka.controller.KafkaController [Controller {b}]: New broker startup callback for {o}
0.021 controller INFO kafka.controller.RequestSendThread [Controller-{b}-to-broker-{o}-send-thread], Starting␣
"""
CONNECTED = """
0.000 controller INFO kafka.controller.RequestSendThread [Controller-{b}-to-broker-{o}-send-thread], Controller {b} connected to kafka{o}:9092 (id: {o} rack: null) for sending state change requests
0.610 state-change TRACE state.change.logger Controller {b} epoch {epoch} received response {{error_code=0}} for a request sent to broker kafka{o}:9092 (id: {o} rack: null)
"""
BACK_ONLINE = """
0.000 state-change TRACE state.change.logger Controller {b} epoch {epoch} started leader election for partition [{topic},{n}]
0.004 state-change TRACE state.change.logger Controller {b} epoch {epoch} elected leader {o} for Offline partition [{topic},{n}]
0.006 state-change TRACE state.change.logger Controller {b} epoch {epoch} changed partition [{topic},{n}] from OfflinePartition to OnlinePartition with leader {o}
"""
IN_SYNC_SETS_CHANGED = """
0.000 controller DEBUG kafka.controller.IsrChangeNotificationListener [IsrChangeNotificationListener] Fired!!!
0.006 controller DEBUG kafka.controller.IsrChangeNotificationListener Sending MetadataRequest to Brokers:ArrayBuffer(0, 1, 2) for TopicAndPartitions:Set({partitions})
12.35 server WARN kafka.network.Processor Attempting to send response via channel for which there is no open connection, connection id {connection}
"""
FETCHER_STOPPED = """
0.000 server INFO kafka.server.ReplicaFetcherManager [ReplicaFetcherManager on broker {b}] Removed fetcher for partitions {partitions}
0.040 server INFO kafka.server.ReplicaFetcherThread [ReplicaFetcherThread-0-0], Shutting down
0.061 server INFO kafka.server.ReplicaFetcherThread [ReplicaFetcherThread-0-0], Stopped␣
0.061 server INFO kafka.server.ReplicaFetcherThread [ReplicaFetcherThread-0-0], Shutdown completed
"""
GROUPS_LOADED = """
0.000 server INFO kafka.coordinator.GroupMetadataManager [Group Metadata Manager on Broker {b}]: Loading offsets and group metadata from [__consumer_offsets,{n}]
0.004 server INFO kafka.coordinator.GroupMetadataManager [Group Metadata Manager on Broker {b}]: Finished loading offsets from [__consumer_offsets,{n}] in {took} milliseconds.
"""
GROUP_SETTLES = """
0.000 server INFO kafka.coordinator.GroupCoordinator [GroupCoordinator {b}]: Preparing to restabilize group {group} with old generation {old}
3.104 server INFO kafka.coordinator.GroupCoordinator [GroupCoordinator {b}]: Stabilized group {group} generation {new}
3.151 server INFO kafka.coordinator.GroupCoordinator [GroupCoordinator {b}]: Assignment received from leader for group {group} for generation {new}
"""
RETENTION_SHORTENED = """
0.000 server INFO kafka.common.ZkNodeChangeNotificationListener Processing notification(s) to /config/changes
0.011 server INFO kafka.server.DynamicConfigManager Processing override for entityPath: topics/telemetry with config: Map(retention.ms -> 3600000)
"""
SEGMENT_DELETED = """
0.000 server INFO kafka.log.Log Deleting segment {base} from log {topic}-{n}.
0.002 server INFO kafka.log.OffsetIndex Deleting index {index}.index.deleted
0.002 server INFO kafka.log.TimeIndex Deleting index {index}.timeindex.deleted
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a broker wrote: to which file, when, and the lines below its first one."""

    at: datetime
    stem: str
    level: str
    logger: str
    message: str
    below: str = ""

    def __str__(self) -> str:
        stamp = f"{self.at:%Y-%m-%d %H:%M:%S},{self.at.microsecond // 1000:03d}"
        return f"[{stamp}] {self.level} {self.message} ({self.logger})" + (f"\n{self.below}" if self.below else "")


class BrokerLog:
    """All that one broker writes in two days; in the end it falls into files by the hour."""

    def __init__(self, broker: int) -> None:
        self.broker = broker
        self.rng = chance(f"kafka{broker}")
        self.events: list[Event] = []
        self.ends = {p: 0 if p[0] == "cards" else whole(self.rng, 40_000, 900_000) for p in REPLICAS}  # log end offsets

    def note(self, at: datetime, line: str, below: str = "", /, **facts: object) -> None:
        """One event, written as 'file LEVEL logger message': {..} is filled from the facts, ␣ is a space at the end."""
        stem, level, logger, message = line.split(" ", 3)
        message = message.format(b=self.broker, **facts).replace("␣", " ")
        self.events.append(Event(at, stem, level, logger, message, below))

    def play(self, at: datetime, scene: str, /, **facts: object) -> None:
        """Many events, one a line: how many seconds after the start of the scene, then as in note()."""
        for line in scene.strip().split("\n"):
            after, event = line.split(" ", 1)
            self.note(at + seconds(float(after)), event, **facts)

    def files(self) -> dict[str, bytes]:
        """`server.log.2026-03-10-08` and so on: an hour gets its name when the next event comes, so the newest has none."""
        hours: dict[str, dict[str, list[Event]]] = {}
        for event in sorted(self.events, key=lambda event: event.at):
            hours.setdefault(event.stem, {}).setdefault(f"{event.at:%Y-%m-%d-%H}", []).append(event)
        files = {"kafka-authorizer.log": b"", "kafka-request.log": b""}  # opened at the start, nothing ever said
        for stem, by in hours.items():
            newest = max(by)
            for hour, events in by.items():
                content = text(str(event) for event in self.as_written(events))
                if content.endswith(HALTED.encode() + b"\n"):
                    content = content[:-1]
                files[f"{stem}.log" if hour == newest else f"{stem}.log.{hour}"] = content
        return files

    def as_written(self, events: list[Event]) -> list[Event]:
        """A thread takes its time before it waits for the appender: now and then two neighbours land in the other order."""
        written = list(events)
        for i in range(len(written) - 1):
            near = timedelta(0) < written[i + 1].at - written[i].at < ms(90)
            if near and HALTED not in (written[i].below, written[i + 1].below) and self.rng.random() < 0.035:
                written[i], written[i + 1] = written[i + 1], written[i]
        return written


def kafka0() -> BrokerLog:
    """Broker 0: the controller until its disk is full; halted for 65 minutes, then recovered."""
    log = BrokerLog(0)
    start_up(log, BROKER_0_UP, epoch=36)
    become_controller(log, BROKER_0_UP + seconds(1.6), epoch=36, live=(0,), orphans=[])
    broker_joins(log, BROKER_1_UP + seconds(2.2), epoch=36, newcomer=1, live="0,1")
    isr_changes(log, BROKER_1_UP + seconds(9), "Expanding", "0", "0,1")
    broker_joins(log, BROKER_1_UP + seconds(191), epoch=36, newcomer=2, live="0,1,2")
    isr_changes(log, BROKER_1_UP + seconds(197), "Expanding", "0,1", "0,1,2")
    rebalance_checks(log, BROKER_0_UP + seconds(301.4), HALT)
    offset_checks(log, BROKER_0_UP, HALT)
    consumers_rebalance(log, day(10, "10:04:52"), "card-issuer", 13)
    consumers_rebalance(log, day(11, "09:31:18"), "card-issuer", 15)
    segments = roll_segments(log, BROKER_0_UP, HALT, flood=8)
    old = [segment for segment in segments if segment.at + seconds(86400) < HALT]
    drop_segments(log, old)

    disk_pressure(log)
    log.note(
        HALT + ms(412),
        "server FATAL kafka.server.ReplicaManager [Replica Manager on Broker {b}]: Halting due to unrecoverable I/O error while "
        "handling produce request:␣",
        HALTED,
    )
    start_up(log, RESTART, epoch=37, unclean=True)
    for i, (topic, n) in enumerate(led_by(0)[:5]):
        log.note(
            RESTART + seconds(19.2) + ms(i * 31),
            "server ERROR kafka.server.ReplicaFetcherThread [ReplicaFetcherThread-0-1], Error for partition [{topic},{n}] to broker "
            "1:org.apache.kafka.common.errors.NotLeaderForPartitionException: This server is not the leader for that topic-partition.",
            topic=topic,
            n=n,
        )
    offset_checks(log, RESTART, END)
    roll_segments(log, RESTART + seconds(900), END, flood=0)
    log.play(ROOM_MADE, RETENTION_SHORTENED)
    drop_segments(log, [segment for segment in segments if segment not in old], together=ROOM_MADE + seconds(153))
    return log


def disk_pressure(log: BrokerLog) -> None:
    """Broker 0 before it halts: slow answers, a dead cleaner, checkpoints that can't be written."""
    followed = ", ".join(name(p) for p in led_by(1)[:4])
    for when in moments(LAGGING, HALT - seconds(300), seconds(460)):
        connection = whole(log.rng, 1, 900)
        log.play(when + seconds(between(log.rng, 0, 120)), IN_SYNC_SETS_CHANGED, partitions=followed, connection=connection)
    died = day(11, "13:41:07.318")
    log.note(died, "log-cleaner ERROR kafka.log.LogCleaner [kafka-log-cleaner-thread-0], Error due to␣", CLEANER_DIED)
    log.note(died + ms(2), "log-cleaner INFO kafka.log.LogCleaner [kafka-log-cleaner-thread-0], Stopped␣")
    for when in moments(DISK_FULL, HALT, seconds(60)):
        if when > day(11, "14:01:00") or when.minute % 3 == 1:
            log.note(
                when + ms(between(log.rng, 40, 900)),
                "server ERROR kafka.utils.KafkaScheduler Uncaught exception in scheduled task 'kafka-recovery-point-checkpoint'",
                CHECKPOINT_FAILED,
            )


def kafka1() -> BrokerLog:
    """Broker 1: a follower that takes the cluster over when broker 0 is gone."""
    log = BrokerLog(1)
    start_up(log, BROKER_1_UP, epoch=36)
    isr_changes(log, BROKER_1_UP + seconds(197), "Expanding", "1,0", "1,0,2")
    offset_checks(log, BROKER_1_UP, END)
    consumers_rebalance(log, day(10, "16:40:03"), "fraud-score", 4)
    segments = roll_segments(log, BROKER_1_UP, END, flood=2)
    drop_segments(log, [segment for segment in segments if segment.at + seconds(86400) < END])

    for i in range(2):  # day 1, 18:21: the link to broker 2 is gone for some seconds
        fetch_fails(log, BLIP + seconds(i * 2.3), 2, FETCH_FAILED)
    isr_changes(log, BLIP + seconds(11.6), "Shrinking", "1,2,0", "1,0", count=3)
    isr_changes(log, BLIP + seconds(24.1), "Expanding", "1,0", "1,0,2", count=3)
    for port in (51244, 51261, 51307):  # the attacker tries the broker's port too
        line = "server WARN org.apache.kafka.common.network.Selector Unexpected error from /203.0.113.77:{port}; closing connection"
        log.note(ATTACK + seconds(318 + (port - 51244) * 3.1), line, INVALID_RECEIVE, port=port)
    for i, when in enumerate(moments(LAGGING, HALT - seconds(60), seconds(570))):  # broker 0 lags: it leaves and comes back
        isr_changes(log, when + seconds(14.2), "Shrinking", "1,2,0", "1,2", count=3 + i % 2)
        isr_changes(log, when + seconds(between(log.rng, 70, 140)), "Expanding", "1,2", "1,2,0", count=3 + i % 2, apart=19.0)

    fetch_fails(log, HALT + ms(431), 0, FETCH_FAILED)  # 14:07:31, broker 0 is gone
    for i in range(4):
        fetch_fails(log, HALT + seconds(1.5 + i * 1.25), 0, NOT_READY)
    lost = led_by(0)
    taken = [p for p in lost if len(REPLICAS[p]) > 1]
    become_controller(log, FAIL_OVER, epoch=37, live=(1, 2), orphans=lost)
    log.play(FAIL_OVER + seconds(2.2), FETCHER_STOPPED, partitions=",".join(name(p) for p in taken))
    load_groups(log, FAIL_OVER + seconds(2.6), taken)
    isr_changes(log, HALT + seconds(14.8), "Shrinking", "1,2,0", "1,2")
    consumers_rebalance(log, FAIL_OVER + seconds(21), "card-issuer", 16)
    consumers_rebalance(log, FAIL_OVER + seconds(27), "fraud-score", 5)
    for when in moments(FAIL_OVER + seconds(40), RESTART, seconds(97)):  # nobody leads telemetry 0 and 3: clients ask and ask
        log.note(
            when + seconds(between(log.rng, 0, 60)),
            "server WARN kafka.server.KafkaApis [KafkaApi-{b}] Offset request with correlation id {id} from client telemetry-sink-{c} "
            "on partition [telemetry,{n}] failed due to Leader not local for partition [telemetry,{n}] on broker {b}",
            id=whole(log.rng, 2000, 9000),
            c=whole(log.rng, 1, 3),
            n=one_of(log.rng, (0, 3)),
        )

    for i in range(3):  # 14:31, broker 2 stands still as well: one replica of three is left, and payments demand two
        fetch_fails(log, PAUSE + seconds(1.1 + i * 31.4), 2, FETCH_FAILED)
    isr_changes(log, PAUSE + seconds(10.4), "Shrinking", "1,2", "1", count=3)
    isr_changes(log, PAUSE_OVER + seconds(3.9), "Expanding", "1", "1,2", count=3)
    for when in moments(PAUSE + seconds(12), PAUSE_OVER, seconds(13)):
        n = whole(log.rng, 0, 1)  # the two that broker 1 leads now
        log.note(
            when + seconds(between(log.rng, 0, 9)),
            "server ERROR kafka.server.ReplicaManager [Replica Manager on Broker {b}]: Error processing append operation on partition payments-{n}",
            TOO_FEW_REPLICAS.format(n=n),
            n=n,
        )

    broker_joins(log, RESTART + seconds(6.1), epoch=37, newcomer=0, live="0,1,2")  # recovery
    isr_changes(log, RESTART + seconds(95), "Expanding", "1,2", "1,2,0", apart=41.0)
    rebalance_checks(log, FAIL_OVER + seconds(4800), END, moved=taken)
    return log


def start_up(log: BrokerLog, at: datetime, *, epoch: int, unclean: bool = False) -> None:
    """From the dump of the configuration to 'started'; after a halt the logs are recovered first."""
    dump = "\n".join("\t" + line.format(broker=log.broker) for line in KAFKA_CONFIG.split("\n"))
    log.note(at, "server INFO kafka.server.KafkaConfig KafkaConfig values: \n{dump}\n", dump=dump)
    log.play(at, STARTING)
    when = at + ms(440)
    mine = [p for p, replicas in REPLICAS.items() if log.broker in replicas]
    for topic, n in mine:
        when += ms(between(log.rng, 2, 19))
        end = log.ends[topic, n]
        if unclean and topic == "telemetry":
            log.play(when, RECOVERING, topic=topic, n=n, end=end, index=f"{FOLDER}/{topic}-{n}/{end:020d}")
            when += seconds(between(log.rng, 1, 2))
        log.note(
            when,
            "server INFO kafka.log.Log Completed load of log {topic}-{n} with {count} log segments and log end offset {end} in {took} ms",
            **{"topic": topic, "n": n, "count": whole(log.rng, 1, 4), "end": end, "took": whole(log.rng, 1, 18)},
        )
    log.play(when, STARTED, took=int((when - at) / ms(1)) - 431)
    follow(log, when + seconds(1.1), epoch, [p for p in mine if REPLICAS[p][0] != log.broker])
    load_groups(log, when + seconds(2.3), [p for p in mine if REPLICAS[p][0] == log.broker])


def follow(log: BrokerLog, at: datetime, epoch: int, partitions: list[tuple[str, int]]) -> None:
    """The controller tells this broker to follow the leaders of these partitions."""
    told = {"boss": 0 if epoch == 36 else 1, "epoch": epoch, "id": whole(log.rng, 1, 90)}
    for i, p in enumerate(partitions):
        replicas = list(REPLICAS[p])
        term, zk = whole(log.rng, 10, 60), whole(log.rng, 20, 90)
        facts = told | {"topic": p[0], "n": p[1], "leader": replicas[0], "replicas": replicas, "term": term, "zk": zk}
        log.play(at + ms(i * 3), BECOME_FOLLOWER, **facts, end=log.ends[p])
    leaders = sorted({REPLICAS[p][0] for p in partitions})
    for leader in leaders:
        log.note(
            at + ms(240 + leader),
            "server INFO kafka.server.ReplicaFetcherThread [ReplicaFetcherThread-0-{o}], Starting␣",
            o=leader,
        )
    added = ", ".join(
        f"[{name(p)}, initOffset {log.ends[p]} to broker BrokerEndPoint({REPLICAS[p][0]},kafka{REPLICAS[p][0]},9092)] " for p in partitions
    )
    line = "server INFO kafka.server.ReplicaFetcherManager [ReplicaFetcherManager on broker {b}] Added fetcher for partitions List({p})"
    log.note(at + ms(250), line, p=added)


def become_controller(log: BrokerLog, at: datetime, *, epoch: int, live: tuple[int, ...], orphans: list[tuple[str, int]]) -> None:
    """Elected by ZooKeeper: this broker takes the cluster over and finds a leader for every partition that lost its own."""
    topics = ", ".join(dict.fromkeys(topic for topic, _ in REPLICAS))
    log.play(at, ELECTED, epoch=epoch, live=", ".join(map(str, live)), topics=topics)
    for i, other in enumerate(live):
        log.play(at + ms(340 + i * 4), CONNECTED, epoch=epoch, o=other)
    when = at + ms(410)
    for i, (topic, n) in enumerate(orphans):
        when += ms(between(log.rng, 9, 40))
        facts: dict[str, object] = {"epoch": epoch, "topic": topic, "n": n}
        successors = [broker for broker in REPLICAS[topic, n] if broker in live]
        log.note(
            when,
            "state-change TRACE state.change.logger Controller {b} epoch {epoch} started leader election for partition [{topic},{n}]",
            **facts,
        )
        if successors:
            members = ",".join(map(str, successors))
            log.play(when, NEW_LEADER, **facts, leader=successors[0], follower=successors[-1], isr=members, term=40 + i)
        else:
            log.note(
                when + ms(8),
                "state-change ERROR state.change.logger Controller {b} epoch {epoch} initiated state change for partition [{topic},{n}] "
                "from OfflinePartition to OnlinePartition failed",
                NO_REPLICA.format(topic=topic, n=n),
                **facts,
            )
    cache = ", ".join(f"{name(p)} -> (Leader:{live[0]},ControllerEpoch:{epoch})" for p in orphans)
    log.play(when, IN_OFFICE, epoch=epoch, cache=cache)


def broker_joins(log: BrokerLog, at: datetime, *, epoch: int, newcomer: int, live: str) -> None:
    """The controller sees a broker come up and gives it back the partitions that only it holds."""
    log.play(at, JOINED, o=newcomer, live=live)
    log.play(at + ms(46), CONNECTED, epoch=epoch, o=newcomer)
    for i, (topic, n) in enumerate(p for p in led_by(newcomer) if REPLICAS[p] == (newcomer,)):
        log.play(at + ms(60 + i * 11), BACK_ONLINE, epoch=epoch, o=newcomer, topic=topic, n=n)


def isr_changes(log: BrokerLog, at: datetime, verb: str, old: str, new: str, *, count: int = 8, apart: float = 0.009) -> None:
    """The set of in-sync replicas grows or shrinks, for the first partitions that this broker leads and others copy."""
    for i, (topic, n) in enumerate([p for p in led_by(log.broker) if len(REPLICAS[p]) > 1][:count]):
        log.note(
            at + seconds(i * apart),
            "server INFO kafka.cluster.Partition Partition [{topic},{n}] on broker {b}: {verb} ISR for partition [{topic},{n}] from {old} to {new}",
            **{"topic": topic, "n": n, "verb": verb, "old": old, "new": new},
        )


def fetch_fails(log: BrokerLog, at: datetime, other: int, why: str) -> None:
    """A follower could not copy from another broker."""
    line = (
        "server WARN kafka.server.ReplicaFetcherThread [ReplicaFetcherThread-0-{o}], Error in fetch "
        "kafka.server.ReplicaFetcherThread$FetchRequest@{address:x}"
    )
    log.note(at, line, why.format(other=other), o=other, address=whole(log.rng, 0x10000000, 0x7FFFFFFF))


def load_groups(log: BrokerLog, at: datetime, partitions: list[tuple[str, int]]) -> None:
    """The broker now keeps the offsets of the consumer groups in these partitions: it reads them."""
    for i, (_, n) in enumerate(p for p in partitions if p[0] == "__consumer_offsets"):
        log.play(at + ms(i * 6), GROUPS_LOADED, n=n, took=whole(log.rng, 1, 9))


def consumers_rebalance(log: BrokerLog, at: datetime, group: str, generation: int) -> None:
    """A consumer came or went: its group settles again."""
    log.play(at, GROUP_SETTLES, group=group, old=generation, new=generation + 1)


def offset_checks(log: BrokerLog, start: datetime, stop: datetime) -> None:
    """Every six hours offsets that nobody needs any more are removed."""
    line = (
        "server INFO kafka.coordinator.GroupMetadataManager [Group Metadata Manager on Broker {b}]: Removed {n} expired offsets in "
        "{took} milliseconds."
    )
    for when in moments(start + seconds(21601.3), stop, seconds(21600)):
        log.note(when, line, n=one_of(log.rng, (0, 0, 0, 3)), took=whole(log.rng, 0, 2))


def rebalance_checks(log: BrokerLog, start: datetime, stop: datetime, moved: Sequence[tuple[str, int]] = ()) -> None:
    """Every four hours the controller looks whether leaders sit where they should; after a fail-over, once, they don't."""
    controller = "kafka.controller.KafkaController [Controller {b}]:"
    wanted = ", ".join(f"{broker} -> Map({placed(led_by(broker))})" for broker in (2, 1, 0))
    for i, when in enumerate(moments(start, stop, seconds(14400))):
        log.note(when, f"controller TRACE {controller} checking need to trigger partition rebalance")
        log.note(when + ms(2), f"controller DEBUG {controller} preferred replicas by broker Map({{p}})", p=wanted)
        for broker in (2, 1, 0):
            away = moved if broker == 0 and i == 0 else ()
            log.note(
                when + ms(3),
                f"controller DEBUG {controller} topics not in preferred replica Map({{p}})",
                p=placed(away),
            )
            ratio = len(away) / len(led_by(broker))
            log.note(
                when + ms(3),
                f"controller TRACE {controller} leader imbalance ratio for broker {{o}} is {{r:.6f}}",
                o=broker,
                r=ratio,
            )
        for j, p in enumerate(moved if i == 0 else ()):
            line = f"controller INFO {controller} Starting preferred replica leader election for partitions {{p}}"
            log.note(when + ms(20 + j * 5), line, p=name(p))


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of a partition's log: when it was closed, and the offset that it begins with."""

    at: datetime
    topic: str
    n: int
    base: int


def roll_segments(log: BrokerLog, start: datetime, stop: datetime, *, flood: int) -> list[Segment]:
    """New log segments in the pace of the day; while press 7 floods its topic, `flood` times as many more of telemetry."""
    rng, closed = log.rng, list[Segment]()
    for (topic, n), replicas in REPLICAS.items():
        if log.broker not in replicas or topic not in ("payments", "telemetry"):
            continue
        for when in moments(start.replace(minute=0, second=0, microsecond=0), stop, seconds(600)):
            flooded = topic == "telemetry" and n in (3, 4) and FLOOD <= when < HALT
            expected = ROLLS[when.hour] / 6 * (1.0 if topic == "telemetry" else 0.3) * (1 + flood * flooded)
            for at in sorted(when + seconds(between(rng, 0, 600)) for _ in range(int(expected + rng.random()))):
                if start <= at < stop:
                    closed.append(Segment(at, topic, n, log.ends[topic, n]))
                    log.ends[topic, n] += whole(rng, 9_000, 13_000)
                    slow = along([(FLOOD, 1), (LAGGING, 9), (DISK_FULL, 60), (HALT, 240)], at) if flood > 5 else 1
                    took = int(between(rng, 1, 5) * slow)
                    log.note(
                        at,
                        "server INFO kafka.log.Log Rolled new log segment for '{topic}-{n}' in {took} ms.",
                        topic=topic,
                        n=n,
                        took=took,
                    )
    return closed


def drop_segments(log: BrokerLog, segments: list[Segment], together: datetime | None = None) -> None:
    """A segment goes when it is a day old (the check runs every 300 s), or all of them together; its files go 60 s later."""
    for i, segment in enumerate(segments):
        wait = 300 - (segment.at.minute % 5) * 60 - segment.at.second
        at = together + ms(i * 17) if together else segment.at + seconds(86400 + wait)
        index = f"{FOLDER}/{segment.topic}-{segment.n}/{segment.base:020d}"
        late = at + ms(whole(log.rng, 0, 9))
        facts: dict[str, object] = {"topic": segment.topic, "n": segment.n, "base": segment.base, "index": index}
        log.note(at, "server INFO kafka.log.Log Scheduling log segment {base} for log {topic}-{n} for deletion.", **facts)
        log.play(late + seconds(60), SEGMENT_DELETED, **facts)


def led_by(broker: int) -> list[tuple[str, int]]:
    """The partitions whose preferred leader is this broker."""
    return [partition for partition, replicas in REPLICAS.items() if replicas[0] == broker]


def placed(partitions: Iterable[tuple[str, int]]) -> str:
    """Partitions and their brokers, as Scala prints a map of lists."""
    return ", ".join(f"{name(p)} -> List({', '.join(map(str, REPLICAS[p]))})" for p in partitions)


def name(partition: tuple[str, int]) -> str:
    """A partition as Kafka 0.10 prints it: [payments,0]."""
    return f"[{partition[0]},{partition[1]}]"


# --- apache: combined log format; a line is written when the answer has left, but carries the time of the question -------

VISITS = (9, 6, 5, 4, 5, 7, 12, 19, 27, 33, 36, 37, 34, 33, 34, 33, 31, 30, 29, 27, 24, 21, 17, 13)  # requests an hour
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0 Mobile Safari/537.36",
)
APPS = ("CardApp/5.12.0 (Android 16)", "CardApp/5.12.1 (iOS 26.2)", "okhttp/5.3.0")
BOT = "Mozilla/5.0 (compatible; ExampleBot/2.1; +http://www.example.com/bot.html)"
PAGES = {
    "/": 18_204,
    "/login": 6_118,
    "/cards/": 22_951,
    "/cards/travel.html": 17_466,
    "/help/lost-card.html": 12_090,
    "/help/top-up.html": 11_384,
    "/fees.html": 9_713,
    "/rates?from=EUR&to=GBP": 3_042,
}
ASSETS = {
    "/css/site.css": 14_870,
    "/js/app.js": 88_412,
    "/img/card-blue.png": 41_206,
    "/img/logo.svg": 2_318,
    "/favicon.ico": 3_638,
}
CALLS = (
    ("GET", "/api/v1/accounts/{n}"),
    ("GET", "/api/v1/cards/{n}"),
    ("POST", "/api/v1/payments"),
    ("POST", "/api/v1/payments"),
    ("GET", "/api/v1/payments?page={p}"),
    ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/telemetry"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the access log, and how long the answer took."""

    at: datetime
    client: str
    line: str
    status: int
    size: int
    referrer: str
    agent: str
    took: float = 0.2

    def __str__(self) -> str:
        size = "-" if self.status == 304 or self.line.startswith("HEAD") else self.size
        stamp = f"{self.at:%d/%b/%Y:%H:%M:%S} +0000"
        return f'{self.client} - - [{stamp}] "{self.line}" {self.status} {size} "{self.referrer}" "{self.agent}"'


def access_log() -> bytes:
    """The gateway's access log: a daily rhythm, and a bad afternoon on the second day."""
    rng = chance("access")
    requests = [*visits(rng), *health_checks(rng), *crawler(rng), *press_telemetry(rng)]
    requests.sort(key=lambda request: (request.at + seconds(request.took), request.client, request.line))
    lines = [str(request) for request in requests]
    for twice in (97, 311, 512, 804, 1015, 1206):  # a page that asks for the same picture twice within its second
        lines.insert(twice, lines[twice])
    broken = next(i for i, line in enumerate(lines) if i > 900 and line.endswith('bot.html)"'))
    lines[broken] = lines[broken].removesuffix(')"')  # as in the real file: an agent string that is never closed
    return text(lines)


def visits(rng: Random) -> Iterator[Request]:
    """People with browsers and with the app."""
    for hour in moments(START, END, timedelta(hours=1)):
        storm = 1.7 if hour in (day(11, "14:00:00"),) else 1.0  # apps that try again and again
        left = int(VISITS[hour.hour] * storm * between(rng, 0.85, 1.1))
        while left > 0:
            at = hour + seconds(int(between(rng, 0, 3590)))
            batch = list(app_session(rng, at) if rng.random() < 0.62 else browser_session(rng, at))
            left -= len(batch)
            yield from batch


def app_session(rng: Random, at: datetime) -> Iterator[Request]:
    """One to four API calls from a phone."""
    client, agent = customer(rng), one_of(rng, APPS)
    for _ in range(whole(rng, 1, 4)):
        method, path = one_of(rng, CALLS[:-1])
        path = path.format(n=whole(rng, 100_001, 100_480), p=whole(rng, 1, 5))
        yield answered(rng, at, client, method, path, "-", agent)
        at += seconds(whole(rng, 1, 9))


def browser_session(rng: Random, at: datetime) -> Iterator[Request]:
    """A page and some of what hangs on it."""
    client, agent = customer(rng), one_of(rng, AGENTS)
    page = one_of(rng, tuple(PAGES)) if rng.random() > 0.05 else one_of(rng, ("/old/index.php", "/cards/gold.html", "/wp-login.php"))
    origin = one_of(rng, ("-", "-", "https://search.example.net/?q=card+declined", "https://www.example.com/"))
    if rng.random() < 0.04:
        yield Request(at, client, "GET /cards HTTP/1.1", 301, 241, origin, agent)
        page = "/cards/"
    known = page in PAGES
    yield Request(at, client, f"GET {page} HTTP/1.1", 200 if known else 404, PAGES.get(page, 1_245), origin, agent)
    for asset, size in ASSETS.items():
        if known and rng.random() < 0.35:
            at += seconds(whole(rng, 0, 1))
            cached = rng.random() < 0.4
            yield Request(
                at,
                client,
                f"GET {asset} HTTP/1.1",
                304 if cached else 200,
                size,
                f"https://www.example.com{page}",
                agent,
            )
    if known and rng.random() < 0.05:
        part = rng.random() < 0.85
        yield Request(
            at + seconds(3),
            client,
            "GET /files/terms-2026.pdf HTTP/1.1",
            206 if part else 416,
            65_536 if part else 387,
            f"https://www.example.com{page}",
            agent,
        )


def answered(rng: Random, at: datetime, client: str, method: str, path: str, referrer: str, agent: str) -> Request:
    """What the gateway says to an API call, which depends on how Kafka is at that moment."""
    line = f"{method} {path} HTTP/1.1"
    needs_kafka = method == "POST" and "sessions" not in path
    trouble = outage(at) * (1.0 if needs_kafka else 0.35)
    if "telemetry" in path and HALT <= at < RESTART:
        trouble = 1.0  # the topic has one replica, and that is on the broker which is down
    if rng.random() < trouble:
        status, took = one_of(rng, ((503, 0.1), (503, 0.1), (503, 0.2), (502, 0.4), (504, 30.0)))
        return Request(at, client, line, status, {502: 157, 503: 193, 504: 167}[status], referrer, agent, took)
    luck = rng.random()
    if "sessions" in path and luck < 0.14:
        return Request(at, client, line, 401, 88, referrer, agent)
    if method == "POST" and luck < 0.03:
        return Request(at, client, line, 400, 142, referrer, agent)
    if luck > 0.998:
        return Request(at, client, line, 500, 170, referrer, agent, 2.0)
    if method == "GET" and luck < 0.02:
        return Request(at, client, line, 404, 96, referrer, agent)
    status = 201 if method == "POST" else 200
    return Request(at, client, line, status, whole(rng, 180, 2_600), referrer, agent, between(rng, 0.05, 0.9))


def outage(at: datetime) -> float:
    """The share of calls that need Kafka and fail."""
    for start, stop, share in (
        (DISK_FULL, HALT, 0.12),
        (HALT, HALT + seconds(60), 0.95),
        (HALT + seconds(60), PAUSE, 0.35),
        (PAUSE, PAUSE_OVER, 0.9),
        (PAUSE_OVER, RESTART, 0.3),
        (RESTART, IN_SYNC, 0.1),
    ):
        if start <= at < stop:
            return share
    return 0.0


def health_checks(rng: Random) -> Iterator[Request]:
    """A probe every 15 minutes; while a broker is down it is told so."""
    for at in moments(START + seconds(412), END, seconds(900)):
        down = HALT <= at < RESTART
        line = "GET /healthz HTTP/1.1" if rng.random() > 0.1 else "HEAD /healthz HTTP/1.1"
        yield Request(at, "10.20.0.9", line, 503 if down else 200, 61 if down else 15, "-", "uptime-probe/1.4")


def crawler(rng: Random) -> Iterator[Request]:
    """A search engine's robot, every two hours."""
    for at in moments(START + seconds(1_900), END, seconds(7_300)):
        client = f"198.51.100.{whole(rng, 201, 204)}"
        yield Request(at, client, "GET /robots.txt HTTP/1.1", 200, 68, "-", BOT)
        yield Request(at + seconds(2), client, f"GET {one_of(rng, tuple(PAGES))} HTTP/1.1", 200, 9_713, "-", BOT)
        if rng.random() < 0.25:
            yield Request(at + seconds(4), client, "GET /admin/ HTTP/1.0", 403, 298, "-", BOT)


def press_telemetry(rng: Random) -> Iterator[Request]:
    """The presses' control box sends its readings through the gateway: twice an hour, every two minutes once press 7 alarms."""
    agent = "press-edge/2.3"
    for at in moments(START + seconds(65), END, seconds(1_800)):
        yield answered(rng, at, "10.20.7.7", "POST", "/api/v1/telemetry", "-", agent)
    for at in moments(FLOOD, RESTART, seconds(120)):
        yield answered(rng, at + seconds(whole(rng, 0, 50)), "10.20.7.7", "POST", "/api/v1/telemetry?severity=alarm", "-", agent)


def customer(rng: Random) -> str:
    """An address from the blocks for documentation; now and then IPv6."""
    if rng.random() < 0.03:
        return f"2001:db8:{whole(rng, 16, 4095):x}::{whole(rng, 16, 4095):x}"
    return f"{one_of(rng, ('192.0.2', '198.51.100', '203.0.113'))}.{whole(rng, 2, 199)}"


# --- sshd: syslog without a year -------------------------------------------------------------------------------------------

HOST = "ip-10-20-0-5"
GUESSES = ("admin", "test", "oracle", "pi", "ubnt", "postgres", "git", "user", "ftp", "hadoop")
ENGINEERS = {"mira": "198.51.100.23", "tomas": "198.51.100.41"}
KEYS = {"mira": "q3Lm0Zr8vYxT5dKc1WnPb7HsJfUe2GaRtIoXy4BzC6E", "tomas": "8sVhTn2LkQpYw5RfMa0ZxCd9JbGe1UiOyW3EtXr7NqI"}


class AuthLog:
    """The auth.log of the ssh gate."""

    def __init__(self) -> None:
        self.rng = chance("auth")
        self.lines: list[tuple[datetime, int, str]] = []
        self.session = 40

    def note(self, at: datetime, program: str, message: str) -> None:
        """One line; lines of the same second keep the order in which they were noted."""
        self.lines.append((at, len(self.lines), f"{at:%b} {at.day:>2} {at:%H:%M:%S} {HOST} {program}: {message}"))

    def content(self) -> bytes:
        """The file."""
        return text(line for _, _, line in sorted(self.lines))


def auth_log() -> bytes:
    """Timed jobs, two engineers, the usual knocking from outside, one serious attack, and the repair of the second day."""
    log = AuthLog()
    rng = log.rng
    log.note(START + seconds(3), "sshd[812]", "Server listening on 0.0.0.0 port 22.")
    log.note(START + seconds(3), "sshd[812]", "Server listening on :: port 22.")
    log.note(START + seconds(3), "systemd-logind[640]", "New seat seat0.")
    for at in moments(START + seconds(1021), END, timedelta(hours=1)):
        timed_job(log, at)
    for at in (day(10, "06:25:01"), day(11, "06:25:01")):
        timed_job(log, at)
    for at, who, commands in (
        (day(10, "08:41:12"), "mira", ("/usr/bin/apt-get update", "/usr/bin/apt-get -y upgrade")),
        (day(10, "09:58:30"), "tomas", ("/usr/local/bin/deploy card-issuer 1.18.0",)),
        (day(10, "13:20:07"), "mira", ()),
        (day(10, "16:36:44"), "tomas", ("/usr/local/bin/deploy fraud-score 0.9.4",)),
        (day(11, "08:12:51"), "mira", ("/usr/bin/less /var/log/auth.log", "/usr/sbin/ufw deny from 203.0.113.77")),
        (day(11, "09:27:02"), "tomas", ("/usr/local/bin/deploy card-issuer 1.18.1",)),
    ):
        timed = [(at + seconds(25 + 40 * i), command) for i, command in enumerate(commands)]
        engineer(log, at, who, timed, leaves=at + seconds(whole(rng, 240, 1_860)))
    repair = [
        (ENGINEER + seconds(48), "/usr/bin/ssh kafka0 df -h /var/lib/kafka"),
        (ENGINEER + seconds(171), "/usr/bin/ssh kafka0 du -sh /var/lib/kafka/telemetry-3"),
        (day(11, "14:58:20"), "/usr/bin/ssh kafka0 find /var/lib/kafka -name *.deleted -delete"),
        (RESTART - seconds(4), "/usr/bin/ssh kafka0 systemctl start kafka"),
        (
            ROOM_MADE - seconds(1),
            "/usr/bin/kafka-configs.sh --alter --entity-type topics --entity-name telemetry --add-config retention.ms=3600000",
        ),
    ]
    engineer(log, ENGINEER, "mira", repair, leaves=day(11, "15:52:11"))
    for at in moments(START + seconds(700), END, seconds(2_940)):
        knock(log, at + seconds(whole(rng, 0, 1_800)))
    attack(log)
    return log.content()


def timed_job(log: AuthLog, at: datetime) -> None:
    """Cron does something as root."""
    program = f"CRON[{whole(log.rng, 2_000, 32_000)}]"
    log.note(at, program, "pam_unix(cron:session): session opened for user root by (uid=0)")
    log.note(at, program, "pam_unix(cron:session): session closed for user root")


def engineer(log: AuthLog, at: datetime, who: str, commands: list[tuple[datetime, str]], *, leaves: datetime) -> None:
    """A person comes in with a key, does something as root, and leaves."""
    log.session += 1
    program, port = f"sshd[{whole(log.rng, 2_000, 32_000)}]", whole(log.rng, 49_200, 65_000)
    log.note(at, program, f"Accepted publickey for {who} from {ENGINEERS[who]} port {port} ssh2: RSA SHA256:{KEYS[who]}")
    log.note(at, program, f"pam_unix(sshd:session): session opened for user {who} by (uid=0)")
    log.note(at, "systemd", f"pam_unix(systemd-user:session): session opened for user {who} by (uid=0)")
    log.note(at, "systemd-logind[640]", f"New session {log.session} of user {who}.")
    for start, command in commands:
        log.note(start, "sudo", f"{who:>8} : TTY=pts/0 ; PWD=/home/{who} ; USER=root ; COMMAND={command}")
        log.note(start, "sudo", f"pam_unix(sudo:session): session opened for user root by {who}(uid=0)")
        log.note(start + seconds(whole(log.rng, 0, 9)), "sudo", "pam_unix(sudo:session): session closed for user root")
    log.note(leaves, program, f"Received disconnect from {ENGINEERS[who]} port {port}:11: disconnected by user")
    log.note(leaves, program, f"Disconnected from {ENGINEERS[who]} port {port}")
    log.note(leaves, program, f"pam_unix(sshd:session): session closed for user {who}")
    log.note(leaves, "systemd-logind[640]", f"Removed session {log.session}.")


def knock(log: AuthLog, at: datetime) -> None:
    """Somebody on the internet tries a door, as all the time."""
    rng, program = log.rng, f"sshd[{whole(log.rng, 2_000, 32_000)}]"
    source, port = f"{one_of(rng, ('192.0.2', '198.51.100'))}.{whole(rng, 2, 250)}", whole(rng, 20_000, 65_000)
    kind = rng.random()
    if kind < 0.2:
        log.note(at, program, f"Did not receive identification string from {source}")
    elif kind < 0.35:
        log.note(at, program, f"Bad protocol version identification 'GET / HTTP/1.1' from {source} port {port}")
    elif kind < 0.55:
        log.note(at, program, f"Connection closed by {source} port {port} [preauth]")
    elif kind < 0.6:
        log.note(
            at,
            program,
            f"fatal: Unable to negotiate with {source} port {port}: no matching cipher found. Their offer: "
            "aes128-cbc,3des-cbc,blowfish-cbc [preauth]",
        )
    else:
        unknown(log, at, program, one_of(rng, GUESSES), source, port)


def unknown(log: AuthLog, at: datetime, program: str, user: str, source: str, port: int, tries: int = 1) -> None:
    """Guesses at a user who does not exist; two within one second are exact duplicates, as in the real file."""
    log.note(at, program, f"Invalid user {user} from {source}")
    log.note(at, program, f"input_userauth_request: invalid user {user} [preauth]")
    log.note(at + seconds(1), program, "pam_unix(sshd:auth): check pass; user unknown")
    log.note(
        at + seconds(1),
        program,
        f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={source} ",
    )
    for _ in range(tries):
        log.note(at + seconds(3), program, f"Failed password for invalid user {user} from {source} port {port} ssh2")
    log.note(at + seconds(3), program, f"Connection closed by {source} port {port} [preauth]")


def attack(log: AuthLog) -> None:
    """27 minutes of guessing from one address: root with six tries a connection, and a list of common names."""
    rng, source, at = log.rng, "203.0.113.77", ATTACK
    while at < ATTACK_OVER:
        program, port = f"sshd[{whole(rng, 2_000, 32_000)}]", whole(rng, 20_000, 65_000)
        if rng.random() < 0.55:
            log.note(
                at,
                program,
                f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={source}  user=root",
            )
            log.note(at + seconds(2), program, f"Failed password for root from {source} port {port} ssh2")
            log.note(
                at + seconds(11),
                program,
                f"message repeated 5 times: [ Failed password for root from {source} port {port} ssh2]",
            )
            log.note(
                at + seconds(11),
                program,
                f"error: maximum authentication attempts exceeded for root from {source} port {port} ssh2 [preauth]",
            )
            log.note(at + seconds(11), program, "Disconnecting: Too many authentication failures [preauth]")
            log.note(
                at + seconds(11),
                program,
                f"PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost={source}  user=root",
            )
            log.note(at + seconds(11), program, "PAM service(sshd) ignoring max retries; 6 > 3")
        else:
            user = one_of(rng, GUESSES)
            unknown(log, at, program, user, source, port, tries=2 if rng.random() < 0.12 else 1)
        at += seconds(whole(rng, 9, 26))


# --- LogHub's layout: a raw log, the same parsed, and its templates; CRLF -------------------------------------------------

BGL_EVENTS = {
    "E1": "instruction cache parity error corrected",
    "E2": "<*> double-hummer alignment exceptions",
    "E3": "generating core.<*>",
    "E4": "ciod: failed to read message prefix on control stream (CioStream socket to <*>",
    "E5": "data TLB error interrupt",
    "E6": "Node card is not fully functional, <*> of <*> links up",
}
HDFS_EVENTS = {
    "E1": "BLOCK* NameSystem.addStoredBlock: blockMap updated: <*> is added to <*> size <*>",
    "E2": "Receiving block <*> src: /<*> dest: /<*>",
    "E3": "PacketResponder <*> for block <*> terminating",
    "E4": "<*>:Got exception while serving <*> to /<*>:",
    "E5": "BLOCK* ask <*> to replicate <*> to datanode(s) <*> <*>",
}
LINUX_EVENTS = {
    "E1": "authentication failure; logname= uid=<*> euid=<*> tty=NODEVssh ruser= rhost=<*> ",
    "E2": "check pass; user unknown",
    "E3": "session opened for user <*> by (uid=<*>)",
    "E4": "session closed for user <*>",
    "E5": "restart.",
    "E6": "ROOT LOGIN ON <*>",
    "E7": "device eth0: link is <*>",
}
Parsed = tuple[str, tuple[object, ...], str, str]  # what stands before the message, its columns, the event, the message


def loghub() -> dict[str, bytes]:
    """The computing racks that score frauds, the file system that keeps telemetry, and the host that prints letters: their two days."""
    return {
        **three_files("BGL/BGL_sample", "Label,Timestamp,Date,Node,Time,NodeRepeat,Type,Component,Level", BGL_EVENTS, racks(), end=False),
        **three_files("HDFS/HDFS_sample", "Date,Time,Pid,Level,Component", HDFS_EVENTS, file_system(), end=True),
        # The day in the name is that of its rotation: it tells the year, which no line does.
        **three_files("Linux/Linux_20260312", "Month,Date,Time,Level,Component,PID", LINUX_EVENTS, printing_host(), end=False),
    }


def three_files(name: str, columns: str, events: dict[str, str], lines: Sequence[Parsed], *, end: bool) -> dict[str, bytes]:
    """The raw log (whose last line may lack its end), the parsed one and the templates."""
    raw = text([before + message for before, _, _, message in lines], "\r\n")
    parsed = [(number, *cells, message.strip(), event, events[event].strip()) for number, (_, cells, event, message) in enumerate(lines, 1)]
    return {
        f"{name}.log": raw if end else raw.removesuffix(b"\r\n"),
        f"{name}.log_structured.csv": table(f"LineId,{columns},Content,EventId,EventTemplate", parsed),
        f"{name}.log_templates.csv": table("EventId,EventTemplate", [(event, template.strip()) for event, template in events.items()]),
    }


def table(header: str, rows: Iterable[Sequence[object]]) -> bytes:
    """CSV with quotes where they are needed, CRLF."""
    written = io.StringIO(newline="")
    csv.writer(written).writerows([header.split(","), *rows])
    return written.getvalue().encode()


def filled(template: str, *values: object) -> str:
    """The template's text with a value in place of each <*>."""
    first, *rest = template.split("<*>")
    return first + "".join(f"{value}{part}" for value, part in zip(values, rest, strict=True))


def racks() -> list[Parsed]:
    """Blue Gene/L's form. Local time is seven hours behind UTC; the label is an administrator's word for an alert."""
    rng, told = chance("bgl"), list[tuple[datetime, str, str, str, str, str, str]]()
    for at in moments(START + seconds(1_300), END, timedelta(hours=3)):
        node = f"R{whole(rng, 0, 3):02d}-M{whole(rng, 0, 1)}-N{whole(rng, 0, 9)}-C:J{whole(rng, 2, 17):02d}-U{one_of(rng, ('01', '11'))}"
        told.append((at + ms(between(rng, 0, 60_000)), "-", node, "RAS", "KERNEL", "INFO", "E1"))
        if rng.random() < 0.4:
            told.append((at + seconds(whole(rng, 70, 900)), "-", node, "RAS", "KERNEL", one_of(rng, ("INFO", "WARNING")), one_of(rng, ("E2", "E3"))))
    for n in range(6):  # the gateway's brokers are gone: the racks can't read what they are to score
        told.append((HALT + seconds(20 + 7 * n), "APPREAD", f"R01-M1-N{n}-I:J18-U01", "RAS", "APP", "FATAL", "E4"))
    told.append((day(11, "03:12:40"), "KERNDTLB", "R02-M0-N3-C:J05-U11", "RAS", "KERNEL", "FATAL", "E5"))
    told.append((day(11, "03:12:41"), "-", "R02-M0-N3", "NULL", "DISCOVERY", "SEVERE", "E6"))
    lines: list[Parsed] = []
    for at, label, node, kind, component, level, event in sorted(told):
        local = at - timedelta(hours=7)
        values = {"E2": (whole(rng, 1, 40),), "E3": (whole(rng, 100, 4_000),), "E4": (f"10.20.1.{whole(rng, 4, 9)}:33370",), "E6": (10, 12)}
        cells = (label, int(at.timestamp()), f"{local:%Y.%m.%d}", node, f"{local:%Y-%m-%d-%H.%M.%S.%f}", node, kind, component, level)
        lines.append((f"{' '.join(map(str, cells))} ", cells, event, filled(BGL_EVENTS[event], *values.get(event, ()))))
    return lines


def file_system() -> list[Parsed]:
    """HDFS: a block an hour and its copies; one copy that can't be read, and is made again."""
    rng, lines = chance("hdfs"), list[Parsed]()

    def say(at: datetime, level: str, component: str, event: str, *values: object) -> None:
        cells = (f"{at:%y%m%d}", f"{at:%H%M%S}", whole(rng, 13, 400), level, component)
        lines.append((f"{cells[0]} {cells[1]} {cells[2]} {level} {component}: ", cells, event, filled(HDFS_EVENTS[event], *values)))

    for at in moments(START + seconds(600), END, timedelta(hours=2)):
        block = f"blk_{one_of(rng, ('', '-'))}{whole(rng, 10**15, 10**18)}"
        one, two = (f"10.20.2.{n}:50010" for n in (whole(rng, 11, 13), whole(rng, 14, 16)))
        say(at, "INFO", "dfs.DataNode$DataXceiver", "E2", block, one, two)
        say(at + seconds(4), "INFO", "dfs.DataNode$PacketResponder", "E3", whole(rng, 0, 2), block)
        say(at + seconds(5), "INFO", "dfs.FSNamesystem", "E1", two, block, 67_108_864)
        if at.day == 11 and at.hour == 14:
            say(at + seconds(90), "WARN", "dfs.DataNode$DataXceiver", "E4", two, block, one.split(":")[0])
            say(at + seconds(92), "INFO", "dfs.FSNamesystem", "E5", one, block, "10.20.2.17:50010", "10.20.2.18:50010")
    return lines


def printing_host() -> list[Parsed]:
    """Syslog of an old host, its year told by its file's name: a guess at passwords at night, a log-in on its screen, a link that fails."""
    told = list[tuple[datetime, str, int | None, str, tuple[object, ...]]]()
    for at in (day(10, "04:04:46"), day(11, "04:04:31")):
        told.append((at, "syslogd 1.4.1", None, "E5", ()))
        told += [(at + seconds(30 * n), "su(pam_unix)", 2_000 + at.day, f"E{3 + n}", ("cyrus", 0)[: 2 - n]) for n in (0, 1)]
    for n in range(8):
        at, process = day(10, "22:20:11") + seconds(23 * n), 19_900 + n
        if n % 3 == 0:
            told.append((at - seconds(1), "sshd(pam_unix)", process, "E2", ()))
        told.append((at, "sshd(pam_unix)", process, "E1", (0, 0, "203.0.113.77" if n < 5 else "198.51.100.23")))
    told += [
        (day(11, "11:44:02"), "kernel", None, "E7", ("down",)),
        (day(11, "11:46:39"), "kernel", None, "E7", ("up",)),
        (day(11, "14:55:40"), " -- root", 2_421, "E6", ("tty2",)),
    ]
    lines: list[Parsed] = []
    for at, program, process, event, values in sorted(told, key=lambda one: (one[0], one[3])):
        before = f"{at:%b} {at.day:>2} {at:%H:%M:%S} printer {program}{'' if process is None else f'[{process}]'}: "
        cells = (f"{at:%b}", at.day, f"{at:%H:%M:%S}", "printer", program.strip(), "" if process is None else process)
        lines.append((before, cells, event, filled(LINUX_EVENTS[event], *values)))
    return lines


# --- sensors ---------------------------------------------------------------------------------------------------------------


def nab() -> dict[str, bytes]:
    """Five series of `timestamp,value`, one file each; the file's path is the sensor's name. And the windows of known faults."""
    series = {
        "realKnownCause/machine_temperature_press_7.csv": machine_temperature(),
        "realKnownCause/coolant_flow_press_7.csv": coolant_flow(),
        "realAWSCloudwatch/broker_disk_used_kafka0.csv": disk_used(),
        "realAWSCloudwatch/ec2_cpu_utilization_gateway.csv": gateway_cpu(),
        "realTraffic/speed_gate_4.csv": gate_speed(),
    }
    files = {path: text(["timestamp,value", *(f"{at:%Y-%m-%d %H:%M:%S},{value}" for at, value in rows)]) for path, rows in series.items()}
    files["realKnownCause/coolant_flow_press_7.csv"] = files["realKnownCause/coolant_flow_press_7.csv"].replace(b"\n", b"\r\n")
    files["realTraffic/speed_gate_4.csv"] = files["realTraffic/speed_gate_4.csv"].removesuffix(b"\n")  # no newline at the end
    windows = {
        "realAWSCloudwatch/broker_disk_used_kafka0.csv": [(day(11, "12:32:00"), day(11, "15:42:00"))],
        "realAWSCloudwatch/ec2_cpu_utilization_gateway.csv": [
            (day(10, "22:09:00"), day(10, "22:44:00")),
            (day(11, "14:04:00"), day(11, "15:19:00")),
        ],
        "realKnownCause/coolant_flow_press_7.csv": [(day(11, "11:05:00"), day(11, "15:35:00"))],
        "realKnownCause/machine_temperature_press_7.csv": [
            (day(10, "09:35:00"), day(10, "09:45:00")),
            (day(11, "11:20:00"), day(11, "16:40:00")),
        ],
        "realTraffic/speed_gate_4.csv": [],
    }
    labels = {path: [[f"{moment:%Y-%m-%d %H:%M:%S}.000000" for moment in window] for window in found] for path, found in windows.items()}
    return files | {"combined_windows.subset.json": json.dumps(labels, indent=2).encode() + b"\n"}


def machine_temperature() -> list[tuple[datetime, float]]:
    """Press 7: warm while it works; one false reading on day 1; on day 2 it overheats, is stopped, cools down, starts again.

    A hole of 70 minutes (the logger was off); its clock is set back by 15 minutes once: three times come twice."""
    rng = chance("machine_temperature")
    curve = (74, 73, 72, 72, 73, 76, 81, 84, 85, 86, 86, 87, 86, 85, 86, 87, 87, 86, 85, 84, 83, 81, 78, 76)
    fault = [
        (HEATING, 86.5),
        (day(11, "12:10:00"), 95.0),
        (day(11, "12:50:00"), 104.5),
        (day(11, "13:10:00"), 113.0),
        (day(11, "13:15:00"), 109.0),
        (day(11, "14:00:00"), 61.0),
        (day(11, "14:45:00"), 38.0),
        (PRESS_BACK, 24.5),
        (day(11, "16:10:00"), 66.0),
        (day(11, "16:40:00"), 85.5),
    ]
    rows: list[tuple[datetime, float]] = []
    drift, set_back = 0.0, timedelta(0)
    for when in moments(START, END, timedelta(minutes=5)):
        drift = drift * 0.9 + noise(rng, 1.8)
        level = along(fault, when) if HEATING <= when <= fault[-1][0] else by_hour(curve, when)
        value = round(level + drift, 8) if when != day(10, "09:40:00") else 131.6
        if when == day(10, "03:30:00"):
            set_back = timedelta(minutes=15)
        if not day(10, "17:00:00") <= when < day(10, "18:10:00"):
            rows.append((when - set_back, value))
        if when == day(10, "17:00:00"):
            set_back = timedelta(0)  # the logger comes back with the right time
    return rows


def coolant_flow() -> list[tuple[datetime, float]]:
    """Litres a minute: the cause of the fault. The valve closes from 11:05 on; some readings get lost on the way (0.0)."""
    rng = chance("coolant_flow")
    fault = [
        (COOLANT_LOST, 1.0),
        (day(11, "11:25:00"), 0.55),
        (day(11, "11:50:00"), 0.0),
        (day(11, "15:20:00"), 0.0),
        (day(11, "15:35:00"), 1.0),
    ]
    curve = (22, 22, 22, 22, 23, 28, 36, 38, 38, 39, 39, 39, 38, 38, 39, 39, 39, 38, 38, 36, 34, 30, 26, 23)
    rows = [(when, round((by_hour(curve, when) + noise(rng, 1.4)) * along(fault, when), 3)) for when in moments(START, END, timedelta(minutes=5))]
    return [(when, 0.0 if rng.random() < 0.012 else value) for when, value in rows if rng.random() > 0.015]


def disk_used() -> list[tuple[datetime, float]]:
    """Percent of kafka0's disk. No readings while the broker's agent has no room to write them either."""
    rng = chance("disk_used")
    points = [
        (START, 57.0),
        (day(10, "08:00:00"), 57.4),
        (day(10, "19:00:00"), 63.8),
        (day(11, "08:00:00"), 64.1),
        (FLOOD, 65.9),
        (LAGGING, 90.0),
        (DISK_FULL, 99.4),
        (HALT, 100.0),
        (RESTART, 97.6),
        (ROOM_MADE + seconds(214), 97.1),
        (day(11, "15:44:00"), 60.3),
        (END, 61.2),
    ]
    rows = [(when, round(min(100.0, along(points, when) + noise(rng, 0.25)), 2)) for when in moments(START + seconds(120), END, timedelta(minutes=5))]
    return [(when, value) for when, value in rows if not HALT < when < RESTART]


def gateway_cpu() -> list[tuple[datetime, float]]:
    """Percent: the daily rhythm, backups at 01:30, the attack on day 1, clients that try again on day 2; three times come twice."""
    rng = chance("gateway_cpu")
    curve = (9, 8, 8, 8, 9, 11, 15, 21, 27, 32, 34, 35, 33, 33, 34, 33, 32, 31, 29, 27, 24, 20, 15, 11)
    rows: list[tuple[datetime, float]] = []
    for when in moments(START + seconds(240), END, timedelta(minutes=5)):
        extra = 31.0 if when.hour == 1 and 30 <= when.minute < 45 else 0.0
        extra += 44.0 if ATTACK <= when < ATTACK_OVER else 0.0
        extra += along(
            [
                (HALT - seconds(180), 0),
                (HALT + seconds(120), 55),
                (PAUSE, 30),
                (PAUSE + seconds(180), 58),
                (RESTART, 24),
                (IN_SYNC, 0),
            ],
            when,
        )
        rows.append((when, round(min(99.2, by_hour(curve, when) + extra + noise(rng, 3.0)), 3)))
        if when in (day(10, "05:59:00"), day(10, "20:14:00"), day(11, "14:19:00")):
            rows.append((when, round(rows[-1][1] + noise(rng, 2.0), 3)))
    return rows


def gate_speed() -> list[tuple[datetime, int]]:
    """Km/h of lorries at gate 4: a reading when there was traffic, so the step is uneven and the nights are thin. No known fault."""
    rng = chance("gate_speed")
    rows: list[tuple[datetime, int]] = []
    when = START + timedelta(minutes=6)
    while when < END:
        rows.append((when, int(between(rng, 14, 34) + noise(rng, 6))))
        busy = 6 <= when.hour < 20
        when += timedelta(minutes=one_of(rng, (5, 5, 5, 5, 5, 5, 4, 6, 10, 15) if busy else (5, 10, 15, 25, 40, 55)))
    return rows


def air_quality() -> bytes:
    """Hourly, on the roof of the hall; ';' between, ',' in numbers, -200 for missing; two hours absent; rows of only ';' at the end."""
    rng = chance("air_quality")
    header = "Date;Time;CO(GT);PT08.S1(CO);NMHC(GT);C6H6(GT);PT08.S2(NMHC);NOx(GT);PT08.S3(NOx);NO2(GT);PT08.S4(NO2);PT08.S5(O3);T;RH;AH;;"
    traffic = (
        0.5,
        0.4,
        0.3,
        0.3,
        0.4,
        0.6,
        1.0,
        1.7,
        2.1,
        1.7,
        1.3,
        1.3,
        1.4,
        1.3,
        1.2,
        1.3,
        1.5,
        1.9,
        2.4,
        2.0,
        1.5,
        1.1,
        0.8,
        0.6,
    )
    warmth = (
        9.2,
        8.8,
        8.3,
        8.0,
        7.7,
        7.5,
        7.9,
        9.1,
        10.8,
        12.4,
        13.7,
        14.8,
        15.6,
        16.1,
        16.3,
        16.0,
        15.2,
        14.1,
        12.9,
        12.0,
        11.3,
        10.7,
        10.2,
        9.7,
    )
    lines = [header]
    for when in moments(START, END, timedelta(hours=1)):
        cars, t = by_hour(traffic, when) * between(rng, 0.8, 1.2), by_hour(warmth, when) + noise(rng, 0.9)
        rh = 92 - 2.6 * t + noise(rng, 4)
        cells = [  # the reference analyser (GT), then what the sensors said
            decimal(cars, 1, short=True),
            str(int(840 + 260 * cars)),
            str(int(40 + 70 * cars)),
            decimal(1.2 + 4.4 * cars, 1),
            str(int(620 + 190 * cars)),
            str(int(50 + 85 * cars)),
            str(int(1_420 - 230 * cars)),
            str(int(52 + 30 * cars)),
            str(int(1_290 + 160 * cars)),
            str(int(640 + 330 * cars)),
            decimal(t, 1),
            decimal(rh, 1),
            decimal(rh * (0.0051 + 0.00061 * t), 4),
        ]
        if when in (day(10, "14:00:00"), day(10, "15:00:00"), day(11, "20:00:00")):  # the sensors' board was off
            cells = [cell if i in (0, 2, 5, 7) else "-200,0" if i == 3 else "-200" for i, cell in enumerate(cells)]
        missing = [i for i in (0, 2, 5, 7) if rng.random() < (0.75 if i == 2 else 0.1)]  # NMHC(GT) is hardly ever there
        cells = ["-200" if i in missing else cell for i, cell in enumerate(cells)]
        if when not in (day(11, "02:00:00"), day(11, "03:00:00")):
            lines.append(f"{when:%d/%m/%Y};{when:%H.%M.%S};{';'.join(cells)};;")
    return text(lines + [";" * 16] * 9)


def decimal(value: float, digits: int, *, short: bool = False) -> str:
    """1,5 and 2,0; short: the zero and the comma go (2)."""
    written = f"{value:.{digits}f}"
    return (written.removesuffix(".0") if short else written).replace(".", ",")


def beijing_air() -> dict[str, bytes]:
    """Hourly, two stations, wide, CRLF; the date lies in four columns (local time, UTC+8); NA for missing, in runs."""
    header = '"No","year","month","day","hour","PM2.5","PM10","SO2","NO2","CO","O3","TEMP","PRES","DEWP","RAIN","wd","WSPM","station"'
    winds = ("N", "NNE", "NE", "ENE", "E", "SE", "SSW", "SW", "WNW", "NW")
    files: dict[str, bytes] = {}
    for station, dirt in (("Liuyuan", 1.0), ("Tanxi", 0.7)):
        rng, lines = chance(f"beijing_air {station}"), [header]
        smog = [
            (START, 35 * dirt),
            (day(10, "15:00:00"), 88 * dirt),
            (day(11, "06:00:00"), 164 * dirt),
            (day(11, "12:00:00"), 21 * dirt),
            (END, 9 * dirt),
        ]
        off, rain = whole(rng, 8, 18), whole(rng, 27, 30)
        for number, when in enumerate(moments(START, END, timedelta(hours=1))):
            pm = max(3.0, along(smog, when) + noise(rng, 14 * dirt))
            warm = by_hour((3, 2, 2, 1, 1, 1, 2, 4, 6, 8, 10, 11, 12, 13, 13, 13, 12, 10, 8, 7, 6, 5, 4, 4), when) + noise(rng, 1.2)
            cells: list[object] = [
                int(pm),
                int(pm * 1.3 + between(rng, 2, 20)),
                int(3 + pm / 14),
                int(18 + pm / 3),
                int(3 + pm / 16) * 100,
                int(max(2, 70 - pm / 3 + warm)),
                plain(warm),
                plain(1021 - number * 0.11 + noise(rng, 0.8)),
                plain(-14 + pm / 18 + noise(rng, 1)),
                plain(between(rng, 0.1, 0.7)) if rain <= number < rain + 3 else 0,
                f'"{one_of(rng, winds)}"',
                plain(between(rng, 0.4, 4.6)),
            ]
            lost = {2, 3, 4, 5} if off <= number < off + 3 else {0} if number in (off + 14, off + 15) else {10} if rng.random() < 0.03 else set[int]()
            cells = ["NA" if i in lost else cell for i, cell in enumerate(cells)]
            lines.append(",".join(map(str, [number + 1, when.year, when.month, when.day, when.hour, *cells, f'"{station}"'])))
        files[f"PRSA_Data_{station}_20260310-20260311.csv"] = text(lines, end="\r\n")
    return files


def plain(value: float) -> str:
    """One digit after the point, and none where it would be 0, as R writes it."""
    return f"{value:.1f}".removesuffix(".0").replace("-0", "0" if f"{value:.1f}" == "-0.0" else "-0")


def occupancy() -> dict[str, bytes]:
    """The office by the minute, in local time (UTC+1): 7 names in the header, 8 fields in a row (a row number first); two files, a hole of 37 minutes."""
    rng = chance("occupancy")
    header = '"date","Temperature","Humidity","Light","CO2","HumidityRatio","Occupancy"'
    co2, warm, humid, rows = 452.0, 20.4, 27.5, list[tuple[datetime, str]]()
    for when in moments(START, END, timedelta(minutes=1)):
        clock = when.hour + when.minute / 60
        in_the_hall = when.day == 11 and 15.2 <= clock < 16.7  # all look after press 7 and the brokers
        present = (8.4 <= clock < 12.1 or 12.9 <= clock < 17.8) and not in_the_hall
        co2 += (0.0065 * (1050 - co2) if present else 0.007 * (445 - co2)) + noise(rng, 6)
        warm += (0.004 * (23.3 - warm) if present else 0.003 * (20.2 - warm)) + noise(rng, 0.02)
        humid += 0.004 * ((29 if present else 26.5) - humid) + noise(rng, 0.06)
        sun = max(0.0, 1 - abs(clock - 13) / 5.5) * 120
        light = round(max(0.0, (between(rng, 405, 455) if present else 0.0) + sun + noise(rng, 8) * (sun > 0)), 2)
        carbon = 2076.5 if when == day(11, "10:42:00") else round(co2 * 4) / 4  # one false reading
        # Saturation pressure as a polynomial (Flatau 1992): only + and *, so its last digit is the same everywhere.
        pressure = humid / 100 * (611.2 + warm * (44.4 + warm * (1.43 + warm * (0.0265 + warm * 0.000303))))
        ratio = 0.622 * pressure / (101_325 - pressure)
        stamp = when - timedelta(seconds=1) if rng.random() < 0.31 and when.minute else when
        cells = f"{short(round(warm, 3))},{short(round(humid, 4))},{short(light)},{short(carbon)},{ratio:.15g},{int(present)}"
        rows.append((stamp, cells))
    files: dict[str, bytes] = {}
    for file, start, stop, number in (
        ("datatest.txt", day(10, "07:00:00"), day(10, "12:00:00"), 140),
        ("datatraining.txt", day(10, "12:00:00"), END, 1),
    ):
        kept = [
            (at, cells)
            for at, cells in rows
            if start <= at + seconds(1) and at + seconds(1) < stop and not day(11, "04:02:00") <= at < day(11, "04:39:00")
        ]
        files[file] = text([header, *(f'"{number + i}","{at:%Y-%m-%d %H:%M:%S}",{cells}' for i, (at, cells) in enumerate(kept))])
    return files


def short(value: float) -> str:
    """23.1 as it is, 426.0 as 426."""
    return str(int(value)) if value == int(value) else str(value)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
