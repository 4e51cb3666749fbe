"""Greetings, thanks, some general knowledge, and the answer to questions that cria knows no answer to."""

from __future__ import annotations

from random import Random

from models.cria.kinds import Fact, Split, Turn, ask, fact, fact_sampler
from models.cria.words import NAMES, TOPICS

GREETINGS: list[Fact] = [
    fact(
        "Hello! How can I help you?",
        "Hello",
        "Hello|Hi|Hey|Hello!|Hi!|Hey!|Hello there|Hi there!|Good day|Greetings|Howdy|Hello cria|Hi cria!"
        "|Say hi|Say hello|Hey there|Hello, llama|Hi, little llama|Yo",
        "Hey cria!|Hello little llama",
    ),
    fact(
        "Good morning! How can I help you?",
        "Good morning",
        "Good morning|Good morning!|Good morning, cria|Morning!|A good morning to you|Hello and good morning",
        "Hi, good morning!|Good morning little llama",
    ),
    fact(
        "Good evening! How can I help you?",
        "Good evening",
        "Good evening|Good evening!|Good evening, cria|Evening!|A good evening to you|Hello and good evening",
        "Hi, good evening!|Good evening little llama",
    ),
    fact(
        "Good night! Sleep well.",
        "Good night",
        "Good night|Good night!|Good night, cria|I am going to bed|Sleep well|A good night to you",
        "Good night little llama|I am going to sleep, good night",
    ),
    fact(
        "You are welcome!",
        "welcome",
        "Thank you|Thanks|Thanks!|Thank you!|Thank you very much|Many thanks|Thanks a lot|Thank you, cria"
        "|Thanks for your help|Great, thank you|That was helpful",
        "Thank you for your help|Many thanks, cria",
    ),
    fact(
        "Goodbye! Come back soon.",
        "Goodbye",
        "Bye|Goodbye|Bye!|See you|See you later|Goodbye, cria|Bye bye|I have to go|Until next time|Farewell",
        "Bye bye, cria|Goodbye, see you later",
    ),
]

GENERAL: list[Fact] = [
    fact(
        "The sky is blue because the air scatters blue light more than red light.",
        "scatters",
        "Why is the sky blue?|why is the sky blue|Explain why the sky is blue.|What makes the sky blue?"
        "|Tell me why the sky is blue.|Do you know why the sky is blue?|How come the sky is blue?",
        "Can you explain why the sky is blue?|Why does the sky look blue?",
    ),
    fact(
        "Why did the llama cross the road? Because the grass was fresher on the other side.",
        "llama cross",
        "Tell me a joke.|Tell a joke.|Do you know a joke?|Make me laugh.|A joke, please.|Say something "
        "funny."
        "|Give me a joke.|I want to hear a joke.|Tell me something funny.",
        "Can you tell me a joke?|I want to hear something funny.",
    ),
    fact(
        "A llama is an animal with soft wool and a long neck. It lives in the mountains of South America.",
        "wool",
        "What is a llama?|Tell me about llamas.|What are llamas?|Describe a llama.|What do you know about "
        "llamas?"
        "|Explain what a llama is.|A llama, what is that?",
        "Can you describe a llama?|Tell me what a llama is.",
    ),
    fact(
        "Llamas eat grass, hay and leaves.",
        "grass",
        "What do llamas eat?|What does a llama eat?|What is the food of llamas?|What do you eat?|Do llamas "
        "eat grass?"
        "|Tell me what llamas eat.|What can a llama eat?",
        "Tell me what a llama eats.|What food do llamas eat?",
    ),
    fact(
        "Soft wool, big round eyes,\na small llama climbs the hill.\nThe sun says hello.",
        "llama",
        "Write a poem.|Write a haiku.|Write me a poem about a llama.|Tell me a poem.|Write a haiku about a "
        "llama."
        "|Give me a short poem.|Can you write a poem?",
        "Can you write a haiku?|Tell me a poem about a llama.",
    ),
    fact(
        "A week has seven days.",
        "seven",
        "How many days does a week have?|How many days are in a week?|How long is a week?|Days in a week?"
        "|How many days are there in one week?",
        "How many days are there in a week?|Tell me how many days a week has.",
    ),
    fact(
        "A year has twelve months.",
        "twelve",
        "How many months does a year have?|How many months are in a year?|Months in a year?"
        "|How many months are there in one year?|In a year, how many months are there?",
        "How many months are there in a year?|Tell me how many months a year has.",
    ),
    fact(
        "An hour has sixty minutes.",
        "sixty",
        "How many minutes does an hour have?|How many minutes are in an hour?|Minutes in an hour?|How long "
        "is an hour?"
        "|How many minutes are there in one hour?",
        "How many minutes are there in an hour?|Tell me how many minutes an hour has.",
    ),
    fact(
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
        "Tuesday, Wednesday, Thursday",
        "List the days of the week.|Name the days of the week.|What are the days of the week?|Say the days "
        "of the week."
        "|Give me the days of the week.|Which days does a week have?",
        "Tell me the days of the week.|Which are the days of the week?",
    ),
    fact(
        "January, February, March, April, May, June, July, August, September, October, November, December.",
        "April, May, June, July",
        "List the months.|Name the months of the year.|What are the months of the year?|Say the months."
        "|Give me the months of the year.|Which months does a year have?|Name all twelve months.",
        "Tell me the months of the year.|List the months of the year.",
    ),
    fact(
        "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
        "A B C D E F G H I J K",
        "Say the alphabet.|List the letters of the alphabet.|What is the alphabet?|Recite the alphabet."
        "|Give me the alphabet.|Write the alphabet.|Name the letters of the alphabet.",
        "Tell me the alphabet.|What are the letters of the alphabet?",
    ),
    fact(
        "Water boils at 100 degrees Celsius.",
        "100",
        "At what temperature does water boil?|When does water boil?|What is the boiling point of water?"
        "|How hot is boiling water?|Water boils at what temperature?",
        "Tell me when water boils.|At which temperature does water boil?",
    ),
    fact(
        "Yes, I am here and I work.",
        "I work",
        "Test|Testing|Are you there?|ping|This is a test.|Do you work?|Are you working?|Is this working?"
        "|Test 1 2 3"
        "|Can you hear me?|Are you awake?|Just a test",
        "This is just a test.|Are you here?",
    ),
    fact(
        "A large language model is a program that reads text and predicts the next token.",
        "next token",
        "What is a language model?|What is a large language model?|What is an LLM?|Explain language models."
        "|How does a language model work?|What does a language model do?|Describe a language model.",
        "Explain what a language model is.|Can you explain what a language model does?",
    ),
]

_UNKNOWN = ask(
    "Who invented {topic}?|Explain {topic} to me.|What is the history of {topic}?|Write an essay "
    "about {topic}."
    "|What do you think about {topic}?|How does {topic} work?|Where can I buy {topic}?"
    "|Write a Python program about {topic}.|What is the price of {topic}?|When was {topic} "
    "invented?"
    "|Give me the latest news about {topic}.|Is {topic} a good thing?|Compare {topic} with "
    "{other}.",
    "Tell me the history of {topic}.|Do you know who invented {topic}?",
)
_DONT_KNOW = "I do not know that. I am only a baby llama."

_MET = ask(
    "My name is {name}.|I am {name}.|Hello, I am {name}.|Hi, my name is {name}.|Call me {name}."
    "|Hello! My name is {name}.|You can call me {name}.|Hi! I'm {name}.",
    "Hi there, I am {name}.|Hello there, my name is {name}.",
)
_RECALL = ask(
    "What is my name?|What's my name?|Who am I?|Do you remember my name?|Tell me my name.|Say my "
    "name."
    "|Do you know my name?|What am I called?|Can you say my name?",
    "Can you tell me my name?|Do you remember who I am?",
)


def unknown(rng: Random, split: Split) -> Turn:
    topic, other = rng.sample(TOPICS, 2)
    user = _UNKNOWN.pick(rng, split).format(topic=topic, other=other)
    return Turn("unknown", user, _DONT_KNOW, ("do not know",))


def memory(rng: Random, split: Split) -> Turn:
    """Introductions of a user, and later questions for the name."""
    name = rng.choice(NAMES)
    met, hello = _MET.pick(rng, split).format(name=name), f"Nice to meet you, {name}!"
    if rng.random() < 0.4:
        return Turn("memory", met, hello, (name,))
    if rng.random() < 0.15:
        return Turn("memory", _RECALL.pick(rng, split), "You did not tell me your name.", ("did not",))
    answer = f"Your name is {name}."
    return Turn("memory", _RECALL.pick(rng, split), answer, (name,), before=((met, hello),))


greetings = fact_sampler("greetings", GREETINGS)
general = fact_sampler("general", GENERAL)
