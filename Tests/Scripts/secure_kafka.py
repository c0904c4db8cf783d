"""A genuine Kafka with TLS, passwords and access rules, for as long as a check lasts.

    with secure_kafka.SecureKafka("/opt/kafka", folder, port=19592) as kafka:
        kafka.grant("User:segmentd", secure_kafka.worker_rules("shop", "1", ["customer-events"]))

One node (KRaft) on 127.0.0.1 with everything it keeps in FOLDER: listener CLIENT (SASL_SSL: PLAIN,
SCRAM-SHA-256, SCRAM-SHA-512) at the port, listener INTERNAL (SASL_PLAINTEXT) at the next one, the controller
at the one after. The certificate is signed by an authority of its own and is good for 127.0.0.1 alone, not
for localhost. Access rules are Kafka's StandardAuthorizer; nobody but the user admin may do anything that no
rule allows. Needs openssl, Java 17 and the package confluent-kafka.
"""

import os
import pathlib
import subprocess
import time

USERS = {"admin": "admin-Zq7", "segmentd": "quiet-Rk4-river", "shop": "shop-Lm2"}
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENT://127.0.0.1:{client},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{client},INTERNAL://127.0.0.1:{internal}
listener.security.protocol.map=CLIENT:SASL_SSL,INTERNAL:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.client.plain.sasl.jaas.config={jaas}
listener.name.client.scram-sha-256.sasl.jaas.config={scram}
listener.name.client.scram-sha-512.sasl.jaas.config={scram}
listener.name.internal.sasl.enabled.mechanisms=PLAIN
listener.name.internal.plain.sasl.jaas.config={jaas}
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config={jaas}
listener.name.client.ssl.keystore.type=PEM
listener.name.client.ssl.keystore.location={folder}/broker.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin
allow.everyone.if.no.acl.found=false
connection.failed.authentication.delay.ms=100
auto.create.topics.enable=false
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""

LOGGING = """\
status=error
rootLogger.level=info
rootLogger.appenderRef.f.ref=F
appender.f.type=File
appender.f.name=F
appender.f.fileName={folder}/server.log
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=[%d] %p %m (%c)%n
"""


def jaas():
    """What the broker knows of users, as a login module's configuration.

    >>> jaas()[:90]
    'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password'
    """
    users = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    return ("org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="admin" password="{USERS["admin"]}" {users};')


def worker_rules(group, instance, inputs, segments):
    """Everything that one worker needs, as (resource, name, is a prefix, operation).

    >>> len(worker_rules("g", "1", ["events"], "out")), worker_rules("g", "1", ["events"], "out")[0]
    (13, ('topic', 'events', False, 'read'))
    """
    rules = [("topic", name, False, "read") for name in inputs]
    rules += [("topic", segments, False, operation) for operation in ("write", "create")]
    rules += [("topic", f"segmentd-{group}-", True, operation)
              for operation in ("read", "write", "create", "describe_configs")]
    rules += [("topic", segments, False, "describe_configs")]
    rules += [("topic", name, False, "describe_configs") for name in inputs]
    rules += [("group", group, False, "read")]
    rules += [("transactional_id", f"{group}-{instance}", False, operation)
              for operation in ("write", "describe")]
    rules += [("transactional_id", f"{group}-check", False, "write")]
    return rules


class SecureKafka:
    """The broker; `with` starts and stops it."""

    def __init__(self, home, folder, port):
        self.home, self.folder, self.port = pathlib.Path(home), pathlib.Path(folder), port
        self.process = self.administrator = None

    @property
    def bootstrap(self):
        """Where TLS is spoken."""
        return f"127.0.0.1:{self.port}"

    @property
    def internal(self):
        """Where passwords go unencrypted."""
        return f"127.0.0.1:{self.port + 1}"

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.make_certificates()
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        (self.folder / "server.properties").write_text(PROPERTIES.format(
            client=self.port, internal=self.port + 1, controller=self.port + 2, jaas=jaas(), scram=scram,
            folder=self.folder))
        (self.folder / "log4j2.properties").write_text(LOGGING.format(folder=self.folder))
        added = [word for name in SCRAM for user, password in USERS.items()
                 for word in ("--add-scram", f"{name}=[name={user},password={password}]")]
        with open(self.folder / "format.log", "wb") as log:
            self.java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c",
                      str(self.folder / "server.properties"), *added, output=log).wait(60)
        self.output = open(self.folder / "stdout.log", "wb")
        self.process = self.java("kafka.Kafka", str(self.folder / "server.properties"), output=self.output)
        limit = time.monotonic() + 60
        while "Kafka Server started" not in self.log():
            if self.process.poll() is not None or time.monotonic() > limit:
                self.__exit__()
                raise SystemExit("Kafka did not start:\n" + self.log()[-3000:])
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()

    def log(self):
        """What the broker wrote so far."""
        texts = [self.folder / name for name in ("format.log", "stdout.log", "server.log")]
        return "".join(text.read_text(errors="replace") for text in texts if text.exists())

    def java(self, name, *words, output):
        """A process of the distribution's classes."""
        return subprocess.Popen(
            ["java", "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-Djava.awt.headless=true",
             f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties",
             f"-Dkafka.logs.dir={self.folder}", "-cp", f"{self.home}/libs/*", name, *words],
            stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    def make_certificates(self):
        """An authority, the broker's certificate by it, and an authority that signed nothing."""
        for name in ("ca", "other-ca"):
            self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                         "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=broker",
                     "-keyout", "broker.key", "-out", "broker.csr")
        (self.folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        self.openssl("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "broker.crt")
        parts = [(self.folder / name).read_bytes() for name in ("broker.key", "broker.crt", "ca.pem")]
        (self.folder / "broker.pem").write_bytes(b"".join(parts))
        os.chmod(self.folder / "broker.pem", 0o600)

    def openssl(self, *words):
        """Runs openssl in the folder."""
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def client(self, user="admin"):
        """Properties of a client of librdkafka, TLS and SASL/PLAIN."""
        return {"bootstrap.servers": self.bootstrap, "security.protocol": "SASL_SSL",
                "ssl.ca.location": str(self.folder / "ca.pem"), "sasl.mechanism": "PLAIN",
                "sasl.username": user, "sasl.password": USERS[user]}

    def admin(self):
        """A client for topics and access rules."""
        from confluent_kafka.admin import AdminClient

        if self.administrator is None:
            self.administrator = AdminClient(self.client())
        return self.administrator

    def create_topics(self, partitions, *names, **settings):
        """Creates topics."""
        from confluent_kafka.admin import NewTopic

        new = [NewTopic(name, num_partitions=partitions, config=settings) for name in names]
        for future in self.admin().create_topics(new).values():
            future.result(30)

    def grant(self, principal, rules):
        """Adds access rules; see `worker_rules`."""
        for future in self.admin().create_acls(bindings(principal, rules)).values():
            future.result(30)

    def revoke_all(self):
        """Removes every access rule."""
        from confluent_kafka import admin

        anything = admin.AclBindingFilter(
            admin.ResourceType.ANY, None, admin.ResourcePatternType.ANY, None, None, admin.AclOperation.ANY,
            admin.AclPermissionType.ANY)
        for future in self.admin().delete_acls([anything]).values():
            future.result(30)


def bindings(principal, rules):
    """Access rules as the admin client has them."""
    from confluent_kafka import admin

    return [
        admin.AclBinding(
            getattr(admin.ResourceType, "BROKER" if kind == "cluster" else kind.upper()), name,
            admin.ResourcePatternType.PREFIXED if is_prefix else admin.ResourcePatternType.LITERAL, principal,
            "*", getattr(admin.AclOperation, operation.upper()), admin.AclPermissionType.ALLOW)
        for kind, name, is_prefix, operation in rules]
