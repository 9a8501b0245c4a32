"""`syncd bucket connect` and `disconnect` on Amazon's interfaces: two emulators that disagree on much."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from syncd.config import Config
from syncd.domain.errors import ConfigError, Rejected
from syncd.service.connect import Change, Plan, Wishes, connection, disconnection, target_of
from tests.aws_emulators import KEY, REGION, Emulator
from tests.connect.conftest import Configured

FOREIGN = {
    "Id": "billing",
    "QueueArn": "",
    "Events": ["s3:ObjectCreated:*"],
    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "invoices/"}]}},
}
FOREIGN_RIGHT = {"Sid": "billing", "Effect": "Allow", "Principal": "*", "Action": "sqs:GetQueueUrl", "Resource": "*"}


class Account:
    """One account of an emulator, seen as its owner sees it, and what syncd does in it."""

    def __init__(self, server: Emulator, configured: Configured) -> None:
        name = uuid.uuid4().hex[:12]
        self.bucket, self.queue = f"bucket-{name}", f"queue-{name}"
        self.server = server
        self.s3, self.sqs, self.sns, self.events = map(self._client, ("s3", "sqs", "sns", "events"))
        self.s3.create_bucket(Bucket=self.bucket)
        self.configured = configured
        self.config = configured("sqs", f"s3://{self.bucket}", queue=self.queue)

    def _client(self, service: str) -> Any:
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
        return boto3.client(service, endpoint_url=self.server.endpoint, region_name=REGION, **keys)

    async def connect(self, **wishes: Any) -> list[str]:
        """Plan and do it; the changes, as a person is shown them."""
        return await changed(connection, self.config, Wishes(**wishes))

    async def disconnect(self, **wishes: Any) -> list[str]:
        return await changed(disconnection, self.config, Wishes(**wishes))

    def url(self, suffix: str = "") -> str:
        return str(self.sqs.get_queue_url(QueueName=self.queue + suffix)["QueueUrl"])

    def attributes(self, suffix: str = "") -> dict[str, Any]:
        found = self.sqs.get_queue_attributes(QueueUrl=self.url(suffix), AttributeNames=["All"])
        return dict(found["Attributes"])

    def policy(self) -> dict[str, Any]:
        return {one["Sid"]: one for one in json.loads(self.attributes()["Policy"])["Statement"]}

    def notifications(self) -> dict[str, Any]:
        found = dict(self.s3.get_bucket_notification_configuration(Bucket=self.bucket))
        return {name: value for name, value in found.items() if name != "ResponseMetadata" and value not in ([], None)}

    def queues(self) -> set[str]:
        urls = self.sqs.list_queues().get("QueueUrls", [])
        return {url.rpartition("/")[2] for url in urls if self.queue in url}

    def arrived(self, key: str, looks: int = 4) -> list[str]:
        """PUT an object, and the bodies that reach the queue soon, test events left out.

        An emulator tells the queue within 0.1 s, so one look is enough to see that nothing comes.
        """
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"x")
        bodies: list[str] = []
        for _ in range(looks):
            answer = self.sqs.receive_message(QueueUrl=self.url(), MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.url(), ReceiptHandle=message["ReceiptHandle"])
                bodies += [message["Body"]] if "s3:TestEvent" not in message["Body"] else []
            if bodies:
                break
        return bodies


async def changed(way: Callable[..., Any], config: Config, wishes: Wishes) -> list[str]:
    told: list[Change] = []
    async with way(target_of(config, "photos"), wishes) as plan:
        assert isinstance(plan, Plan)
        await plan.carry_out(told.append)
    assert told == list(plan.changes)
    return [f"{change.sign} {change.what}" for change in told]


@pytest.fixture
def account(request: pytest.FixtureRequest, configured: Configured, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account at an emulator, ministack if nothing else is said, found by the usual chain."""
    server: Emulator = request.getfixturevalue(getattr(request, "param", "ministack"))
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return Account(server, configured)


on_both = pytest.mark.parametrize("account", ["ministack", "moto"], indirect=True)


@on_both
@pytest.mark.parametrize("via", ["queue", "sns", "eventbridge"])
async def test_an_object_put_after_connecting_arrives_in_the_queue(account: Account, via: str) -> None:
    changes = await account.connect(via=via)
    assert {change[0] for change in changes} <= {"+", "~"}
    bodies = account.arrived("in/a b+é.jpg")
    assert len(bodies) == 1
    assert account.bucket in bodies[0]
    if (account.server.name, via) != ("moto", "eventbridge"):  # moto does not tell that it is switched on
        assert await account.connect(via=via) == []  # a second time there is nothing to do
    assert await account.disconnect() != []
    assert account.arrived("in/later.jpg", looks=1) == []


@on_both
async def test_only_this_bucket_of_this_account_may_send(account: Account) -> None:
    await account.connect()
    right = account.policy()["syncd-photos"]
    assert right["Principal"] == {"Service": "s3.amazonaws.com"}
    assert right["Action"] == "sqs:SendMessage"
    assert right["Condition"]["ArnEquals"] == {"aws:SourceArn": f"arn:aws:s3:::{account.bucket}"}
    assert right["Condition"]["StringEquals"] == {"aws:SourceAccount": right["Resource"].split(":")[4]}


async def test_the_queue_keeps_long_and_has_dead_letters(account: Account) -> None:
    await account.connect()
    queue, dead = account.attributes(), account.attributes("-dead")
    assert json.loads(queue["RedrivePolicy"])["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(json.loads(queue["RedrivePolicy"])["maxReceiveCount"]) == 100
    assert queue["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == "1209600"
    assert queue["VisibilityTimeout"] == "60"


@on_both
async def test_notifications_and_rights_of_others_stay_as_they_are(account: Account) -> None:
    other = account.sqs.create_queue(QueueName=f"{account.queue}-other")["QueueUrl"]
    arn = account.sqs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN_RIGHT]})
    account.sqs.create_queue(QueueName=account.queue, Attributes={"Policy": policy, "VisibilityTimeout": "7"})
    configuration = {"QueueConfigurations": [FOREIGN | {"QueueArn": arn}]}
    account.s3.put_bucket_notification_configuration(Bucket=account.bucket, NotificationConfiguration=configuration)
    before = account.notifications()

    await account.connect(prefix="in/")
    assert [entry["Id"] for entry in account.notifications()["QueueConfigurations"]] == ["billing", "syncd-photos"]
    assert account.notifications()["QueueConfigurations"][0] == before["QueueConfigurations"][0]
    assert account.policy().keys() == {"billing", "syncd-photos"}
    assert account.attributes()["VisibilityTimeout"] == "7"  # what somebody chose

    assert len(await account.disconnect()) == 2
    assert await account.disconnect() == []
    assert account.notifications() == before
    assert account.policy() == {"billing": FOREIGN_RIGHT}


async def test_a_plan_alone_changes_nothing(account: Account) -> None:
    async with connection(target_of(account.config, "photos"), Wishes()) as plan:
        assert isinstance(plan, Plan)
        assert [change.sign for change in plan.changes] == ["+", "+", "+"]
    assert account.queues() == set()
    assert account.notifications() == {}


async def test_another_prefix_alters_our_notification_only(account: Account) -> None:
    await account.connect()
    assert [line[0] for line in await account.connect(prefix="in/", suffix=".jpg")] == ["~"]
    (entry,) = account.notifications()["QueueConfigurations"]
    rules = {rule["Name"].lower(): rule["Value"] for rule in entry["Filter"]["Key"]["FilterRules"]}
    assert rules == {"prefix": "in/", "suffix": ".jpg"}
    assert account.arrived("out/a.jpg", looks=1) == []
    assert len(account.arrived("in/a.jpg")) == 1


async def test_another_way_takes_the_place_of_the_first(account: Account) -> None:
    await account.connect()
    await account.connect(via="sns")
    assert "QueueConfigurations" not in account.notifications()
    assert account.policy()["syncd-photos"]["Principal"] == {"Service": "sns.amazonaws.com"}
    assert len(account.arrived("once.jpg")) == 1
    await account.disconnect()


async def test_a_queue_goes_only_when_it_is_empty_or_by_force(account: Account) -> None:
    await account.connect()
    account.sqs.purge_queue(QueueUrl=account.url())
    account.sqs.send_message(QueueUrl=account.url(), MessageBody="waiting")
    kept = await account.disconnect(delete_queue=True)
    assert [line.split()[:2] for line in kept] == [["-", "notification"], ["-", "right"]]
    assert account.queues() == {account.queue, f"{account.queue}-dead"}
    gone = await account.disconnect(delete_queue=True, force=True)
    assert [line.partition(" with")[0] for line in gone] == [
        f"- queue {account.queue}",
        f"- queue {account.queue}-dead",
    ]
    assert account.queues() == set()


async def test_a_topic_that_pushes_to_syncd_is_made_subscribed_and_taken_back(account: Account) -> None:
    arn = f"arn:aws:sns:{REGION}:{account_id(account)}:syncd-photos"
    account.config = account.configured("sns", f"s3://{account.bucket}", topics=[arn])
    assert [line.split()[1] for line in await account.connect()] == ["topic", "subscription", "notification"]
    (entry,) = account.notifications()["TopicConfigurations"]
    assert entry["TopicArn"] == arn
    (subscription,) = account.sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert subscription["Endpoint"] == "https://syncd.example.com/events/camera"
    assert await account.connect() == []
    await account.disconnect()
    assert account.notifications() == {}
    assert arn not in [topic["TopicArn"] for topic in account.sns.list_topics()["Topics"]]


@pytest.mark.parametrize("via", ["sns", "eventbridge"])
async def test_what_another_installation_made_under_the_same_name_is_left_alone(account: Account, via: str) -> None:
    other = Account(account.server, account.configured)
    await other.connect(via=via)
    with pytest.raises(Rejected, match=r"syncd-photos is that of .*: give \[buckets\.photos\] another name"):
        await account.connect(via=via)
    assert await account.disconnect() == []
    assert len(other.arrived("still.jpg")) == 1
    await other.disconnect()


async def test_a_fifo_queue_is_refused_for_s3_sends_to_none(account: Account) -> None:
    account.config = account.configured("sqs", f"s3://{account.bucket}", queue="photos.fifo")
    with pytest.raises(ConfigError, match=r"sources\.camera\.queue: must be a standard queue"):
        await account.connect()


async def test_a_bucket_that_is_not_there_is_named(account: Account) -> None:
    account.config = account.configured("sqs", "s3://nobody-has-this-one", queue=account.queue)
    with pytest.raises(ConfigError, match=r"buckets\.photos\.url: is not there"):
        await account.connect()
    assert account.queues() == set()


def account_id(account: Account) -> str:
    url = account.sqs.create_queue(QueueName=f"{account.queue}-x")["QueueUrl"]
    return str(
        account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    ).split(":")[4]
