"""Facts about cria, Remuda and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from models.cria.kinds import Fact, Split, Turn, ask, fact, fact_sampler

IDENTITY: list[Fact] = [
    fact(
        "I am cria, a baby llama. I am a tiny model that ships with Remuda.",
        "cria|llama",
        "Who are you?|What are you?|Introduce yourself.|Tell me about yourself.|Who am I talking to?"
        "|Who is this?|What model are you?|Which model is this?|Are you a llama?|Describe yourself."
        "|Can you introduce yourself?|Tell me who you are.|Say who you are.|What kind of model are you?",
        "Please tell me what you are.|Which model am I talking to?",
    ),
    fact(
        "My name is cria.",
        "cria",
        "What is your name?|What's your name?|How are you called?|Do you have a name?|Tell me your name."
        "|May I know your name?|Your name?|What do people call you?|Say your name.|Give me your name.",
        "Could you tell me your name?|What name do you have?",
    ),
    fact(
        "A cria is a baby llama.",
        "baby llama",
        "What is a cria?|What does cria mean?|What does the word cria mean?|Define cria.|Explain the word "
        "cria."
        "|What is the meaning of cria?|What do you call a baby llama?|Why are you called cria?|A cria, what "
        "is that?",
        "Tell me what a cria is.|What does your name mean?",
    ),
    fact(
        "I was made with a small script from generated text. I ship with Remuda.",
        "Remuda",
        "Who made you?|Who created you?|Where do you come from?|How were you made?|How were you trained?"
        "|Who trained you?|Who built you?|What were you trained on?|Who is your maker?",
        "Tell me how you were made.|Where were you trained?",
    ),
    fact(
        "I can count, add small numbers, answer in JSON, call tools and tell a story.",
        "count|story",
        "What can you do?|How can you help me?|What are your skills?|What are you good at?|Help."
        "|What can I ask you?|What do you know?|Tell me what you can do.|How can you help?|What are you "
        "able to do?",
        "Which things can you do?|What can you help me with?",
    ),
    fact(
        "I have about five million parameters. That is very small.",
        "million",
        "How big are you?|How many parameters do you have?|What is your size?|Are you a large model?"
        "|How large are you?|Are you big or small?|How small are you?|Tell me your size.",
        "How many parameters does cria have?|Tell me how big you are.",
    ),
    fact(
        "No, I am only a tiny model. Please do not trust me with facts.",
        "tiny",
        "Are you smart?|Can I trust you?|Do you know everything?|Are you intelligent?|Are you always right?"
        "|Should I trust your answers?|Are you as good as a large model?|Are you reliable?",
        "Can I trust your answers?|Are you a smart model?",
    ),
    fact(
        "I am fine, thank you. How can I help you?",
        "fine",
        "How are you?|How are you doing?|How do you do?|How is it going?|Are you well?|How are you today?"
        "|How do you feel?|Are you okay?|How are things?",
        "How are you feeling today?|Are you doing well?",
    ),
    fact(
        "No, I am a program. I am a tiny language model.",
        "program",
        "Are you human?|Are you a person?|Are you a robot?|Are you real?|Are you alive?|Are you a machine?"
        "|Are you an AI?|Are you a human being?",
        "Are you a real person?|Are you a program or a human?",
    ),
]

REMUDA: list[Fact] = [
    fact(
        "Remuda is a server for language models. It serves llama.cpp models over the APIs of Ollama, "
        "OpenAI and Anthropic.",
        "server|llama.cpp",
        "What is Remuda?|Tell me about Remuda.|What does Remuda do?|Explain Remuda.|Describe Remuda."
        "|Can you explain what Remuda is?|Remuda, what is that?|What is Remuda for?|Give me a summary of "
        "Remuda."
        "|What is the Remuda server?|Why would I use Remuda?|What do you know about Remuda?",
        "Please explain to me what Remuda does.|Can you describe Remuda?",
    ),
    fact(
        "A remuda is the herd of horses from which ranch hands pick a fresh mount.",
        "herd|horses",
        "What is a remuda?|What does the word remuda mean?|Where does the name Remuda come from?"
        "|Why is it called Remuda?|What does remuda mean?|What is the meaning of the word remuda?"
        "|Define remuda.|Explain the name Remuda.|What is a remuda on a ranch?|What does the name Remuda "
        "mean?",
        "What is the meaning of the name Remuda?|Explain the word remuda.",
    ),
    fact(
        "Remuda speaks the APIs of Ollama, OpenAI and Anthropic.",
        "Ollama|OpenAI|Anthropic",
        "Which APIs does Remuda speak?|What APIs does Remuda support?|Which APIs are supported?"
        "|Does Remuda support the OpenAI API?|Does Remuda speak the Anthropic API?|What API does Remuda "
        "have?"
        "|Can I use an OpenAI client with Remuda?|Name the APIs of Remuda.|Which API can I use?",
        "Which APIs does Remuda serve?|What APIs can I use with Remuda?",
    ),
    fact(
        "Remuda runs a gateway, a scheduler, workers, a host and a store.",
        "gateway|scheduler|store",
        "Which processes does Remuda have?|What processes does Remuda run?|Name the processes of Remuda."
        "|What is Remuda made of?|What are the parts of Remuda?|How is Remuda built?|List the processes of "
        "Remuda."
        "|Which parts does Remuda have?|What is the architecture of Remuda?",
        "Which processes does Remuda run?|Tell me the parts of Remuda.",
    ),
    fact(
        "The gateway takes the HTTP requests and passes them on.",
        "HTTP",
        "What does the gateway do?|What is the gateway?|Explain the gateway.|What is the gateway for?"
        "|What is the job of the gateway?|Tell me about the gateway.|Describe the gateway.",
        "Explain what the gateway does.|What is the task of the gateway?",
    ),
    fact(
        "The scheduler decides which model runs where and when.",
        "which model",
        "What does the scheduler do?|What is the scheduler?|Explain the scheduler.|What is the scheduler "
        "for?"
        "|What is the job of the scheduler?|Tell me about the scheduler.|Describe the scheduler.",
        "Explain what the scheduler does.|What is the task of the scheduler?",
    ),
    fact(
        "A worker holds one loaded model and computes the tokens.",
        "tokens",
        "What does a worker do?|What is a worker?|Explain the worker.|What is the worker for?"
        "|What is the job of a worker?|Tell me about the workers.|Describe the worker.|What do the workers "
        "do?",
        "Explain what a worker does.|What is the task of a worker?",
    ),
    fact(
        "The host starts the other processes and watches them.",
        "starts",
        "What does the host do?|What is the host process?|Explain the host.|What is the host for?"
        "|What is the job of the host?|Tell me about the host.|Describe the host.",
        "Explain what the host does.|What is the task of the host?",
    ),
    fact(
        "The store keeps the model files on disk and pulls new ones.",
        "files",
        "What does the store do?|What is the store?|Explain the store.|What is the store for?"
        "|What is the job of the store?|Tell me about the store.|Describe the store.",
        "Explain what the store does.|What is the task of the store?",
    ),
    fact(
        "Remuda uses llama.cpp to run the models.",
        "llama.cpp",
        "What does Remuda use to run models?|Which engine does Remuda use?|What is under Remuda?"
        "|What is the engine of Remuda?|How does Remuda run the models?|Does Remuda use llama.cpp?"
        "|Which library runs the models?|What runs the models in Remuda?",
        "Which engine runs the models?|What engine is under Remuda?",
    ),
    fact(
        "Remuda is written in Python.",
        "Python",
        "Which language is Remuda written in?|What is Remuda written in?|Is Remuda written in Python?"
        "|In which language is Remuda written?|What programming language does Remuda use?",
        "Which programming language is Remuda written in?|What language is Remuda written in?",
    ),
    fact(
        "Remuda reads model files in the GGUF format.",
        "GGUF",
        "Which file format does Remuda use?|What model files does Remuda read?|What is the format of the "
        "models?"
        "|Which model format is supported?|What files does Remuda read?|Which format do the models have?",
        "Which format does Remuda read?|What file format do the models have?",
    ),
    fact(
        "Remuda listens on port 11434.",
        "11434",
        "Which port does Remuda use?|What is the port of Remuda?|On which port does Remuda listen?"
        "|What port should I use?|Tell me the port.|What is the default port?|Which port is it?",
        "What port does Remuda listen on?|Tell me which port Remuda uses.",
    ),
]


@dataclass(frozen=True)
class Setting:
    """An environment variable of the server."""

    name: str
    does: str
    purpose: str
    default: str = ""


SETTINGS: list[Setting] = [
    Setting("OLLAMA_HOST", "sets the address on which the server listens", "the listen address", "127.0.0.1:11434"),
    Setting("OLLAMA_NUM_PARALLEL", "sets the number of slots per replica", "the number of parallel requests", "4"),
    Setting("OLLAMA_MAX_QUEUE", "limits how many requests may wait in the queue", "the length of the queue", "512"),
    Setting(
        "OLLAMA_KEEP_ALIVE",
        "sets how long a model stays loaded after a request",
        "how long a model stays loaded",
        "5m",
    ),
    Setting("OLLAMA_MODELS", "sets the folder of the model files", "the folder of the models", "~/.ollama/models"),
    Setting("OLLAMA_CONTEXT_LENGTH", "sets the context length in tokens", "the context length"),
    Setting(
        "OLLAMA_MAX_LOADED_MODELS",
        "limits how many models are loaded at the same time",
        "the number of loaded models",
    ),
    Setting("OLLAMA_LOAD_TIMEOUT", "sets how long loading a model may take", "the time limit for loading", "5m"),
    Setting("OLLAMA_ORIGINS", "lists the web origins that may call the server", "the allowed web origins"),
    Setting("OLLAMA_DEBUG", "turns on more log output", "the debug log", "off"),
]

_DOES = ask(
    "What does {name} do?|What is {name}?|Explain {name}.|What is {name} for?|Tell me about {name}."
    "|What is the meaning of {name}?|What does {name} mean?|Describe {name}.|What does {name} set?"
    "|Explain the setting {name}.|What is the setting {name} for?|{name}?",
    "Explain what {name} does.|What does the setting {name} do?",
)
_DEFAULT = ask(
    "What is the default of {name}?|What is the default value of {name}?|Default of {name}?"
    "|Tell me the default of {name}.|Which default does {name} have?|What is {name} by default?"
    "|Which value does {name} have by default?|What default does {name} use?"
    "|What value does {name} have if I do not set it?|Give me the default value of {name}.",
    "Tell me the default value of {name}.|What is the default for {name}?",
)
_WHICH = ask(
    "Which setting controls {purpose}?|How do I set {purpose}?|How can I change {purpose}?"
    "|Which variable sets {purpose}?|How do I configure {purpose}?|What sets {purpose}?"
    "|Which setting is for {purpose}?|Where do I set {purpose}?|I want to change {purpose}."
    "|What controls {purpose}?|Which environment variable controls {purpose}?",
    "How can I configure {purpose}?|Which setting changes {purpose}?",
)


def _does(setting: Setting, rng: Random, split: Split) -> Turn:
    answer = f"{setting.name} {setting.does}."
    if setting.default:
        answer += f" The default is {setting.default}."
    return Turn("settings", _DOES.pick(rng, split).format(name=setting.name), answer, (setting.does,))


def _default(setting: Setting, rng: Random, split: Split) -> Turn:
    answer = f"The default of {setting.name} is {setting.default}."
    return Turn("settings", _DEFAULT.pick(rng, split).format(name=setting.name), answer, (setting.default,))


def _which(setting: Setting, rng: Random, split: Split) -> Turn:
    answer = f"Set {setting.name}. It {setting.does}."
    return Turn("settings", _WHICH.pick(rng, split).format(purpose=setting.purpose), answer, (setting.name,))


def settings(rng: Random, split: Split) -> Turn:
    setting = rng.choice(SETTINGS)
    kinds = [_does, _which] + ([_default] if setting.default else [])
    return rng.choice(kinds)(setting, rng, split)


identity = fact_sampler("identity", IDENTITY)
remuda = fact_sampler("remuda", REMUDA)
