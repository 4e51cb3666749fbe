"""Definitions of the functions that cria learns to call: weather, calculator, clock, dice, search."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from models.cria.kinds import Call, Json, Phrases, ask
from models.cria.words import CITIES, TOPICS


@dataclass(frozen=True)
class Case:
    """A tool's definition, a question that needs it, the right call, and the answer to its result."""

    tool: Json
    phrases: Phrases
    slots: dict[str, str]
    call: Call
    result: str
    answer: str
    expect: tuple[str, ...]


_DESCRIPTIONS = {
    "weather": (
        "Get the current weather",
        "Get the current weather for a city",
        "Get the weather for a location",
        "Returns the weather",
        "Get the current weather in a given location",
        "Weather of a place",
    ),
    "add": ("Add two numbers", "Add two integers", "Returns the sum of two numbers", "Sum of a and b"),
    "subtract": ("Subtract two numbers", "Returns the difference of two numbers", "Difference of a and b"),
    "multiply": ("Multiply two numbers", "Returns the product of two numbers", "Product of a and b"),
    "calculator": (
        "Evaluate a mathematical expression",
        "A simple calculator",
        "Calculate an expression",
        "Compute the value of an expression",
    ),
    "clock": ("Get the current time in a city", "Get the current time", "Returns the local time of a place"),
    "dice": ("Roll a dice", "Roll a dice with a number of sides", "Returns a random number"),
    "search": ("Search the web", "Search for a text", "Look something up on the web"),
}
_NAMES = {
    "weather": "get_weather get_current_weather weather fetch_weather getWeather current_weather "
    "weather_lookup "
    "lookup_weather get_city_weather check_weather show_weather read_weather get_forecast",
    "add": "add add_numbers sum plus add_two_numbers addition add_two calc_add get_sum",
    "subtract": "subtract minus subtract_numbers subtract_two_numbers difference calc_subtract",
    "multiply": "multiply times multiply_numbers product multiply_two_numbers calc_multiply",
    "calculator": "calculator calculate evaluate compute calc eval_expression do_math run_calculator",
    "clock": "get_time get_current_time time clock current_time getTime local_time time_in_city",
    "dice": "roll_dice dice roll throw_dice random_roll rollDice",
    "search": "search web_search search_web google find lookup search_query",
}
_PLACES = "city city location location place town city_name"
_PHRASES: dict[str, Phrases] = {
    "weather": ask(
        "What is the weather in {p}?|What's the weather in {p}?|How is the weather in {p}?"
        "|Weather in {p}?"
        "|Tell me the weather in {p}.|What is the weather like in {p}?|What's the weather like in "
        "{p}?"
        "|Is it raining in {p}?|What is the weather in {p} today?|Is it sunny in {p}?|Get the "
        "weather for {p}."
        "|How warm is it in {p}?|What is the temperature in {p}?|Check the weather in {p}."
        "|Give me the weather for {p}.|I want to know the weather in {p}.|What is the current "
        "weather in {p}?",
        "How is the weather in {p} today?|Can you check the weather in {p}?|What is the weather like today in {p}?",
    ),
    "add": ask(
        "What is {a} + {b}?|What is {a} plus {b}?|Add {a} and {b}.|Calculate {a} + {b}.|How much is "
        "{a} plus {b}?"
        "|What is the sum of {a} and {b}?|Use the tool to add {a} and {b}.|{a} + {b} = ?",
        "Compute the sum of {a} and {b}.|Use the tool: what is {a} + {b}?",
    ),
    "subtract": ask(
        "What is {a} - {b}?|What is {a} minus {b}?|Subtract {b} from {a}.|Calculate {a} - {b}."
        "|How much is {a} minus {b}?|Use the tool to subtract {b} from {a}.|{a} - {b} = ?",
        "Compute {a} minus {b}.|Use the tool: what is {a} - {b}?",
    ),
    "multiply": ask(
        "What is {a} * {b}?|What is {a} times {b}?|Multiply {a} by {b}.|Calculate {a} * {b}."
        "|How much is {a} times {b}?|What is the product of {a} and {b}?"
        "|Use the tool to multiply {a} and {b}.|{a} * {b} = ?",
        "Compute the product of {a} and {b}.|Use the tool: what is {a} * {b}?",
    ),
    "calculator": ask(
        "What is {a} {o} {b}?|Calculate {a} {o} {b}.|Compute {a} {o} {b}.|How much is {a} {o} "
        "{b}?"
        "|Use the calculator: {a} {o} {b}|{a} {o} {b} = ?|Evaluate {a} {o} {b}.|Please "
        "calculate {a} {o} {b}.",
        "Use the calculator for {a} {o} {b}.|Use the calculator to compute {a} {o} {b}.",
    ),
    "clock": ask(
        "What time is it in {p}?|What is the time in {p}?|Tell me the time in {p}.|How late is it "
        "in {p}?"
        "|What is the current time in {p}?|Time in {p}?|Give me the time in {p}.|What's the time in "
        "{p}?",
        "Can you tell me the time in {p}?|What time is it now in {p}?",
    ),
    "dice": ask(
        "Roll a dice with {n} sides.|Throw a dice with {n} sides.|Please roll a {n} sided dice."
        "|Roll a {n} sided dice.|Roll a dice, {n} sides.|I want to roll a dice with {n} sides.",
        "Can you roll a dice with {n} sides?|Throw a {n} sided dice.",
    ),
    "search": ask(
        "Search for {t}.|Search the web for {t}.|Look up {t}.|Find something about {t}.|Please "
        "search for {t}."
        "|Can you search for {t}?|Google {t}.|Find {t} on the web.",
        "Can you look up {t}?|Search the web and find {t}.",
    ),
}
KINDS: tuple[str, ...] = (
    "weather",
    "weather",
    "weather",
    "add",
    "subtract",
    "multiply",
    "calculator",
    "calculator",
    "clock",
    "dice",
    "search",
)
_SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear")


def _property(rng: Random, kind: str, text: str) -> Json:
    prop: Json = {"type": kind}
    if rng.random() < 0.6:
        prop["description"] = text
    return _shuffled(rng, prop)


def _shuffled(rng: Random, value: Json) -> Json:
    """Sorts the keys half of the time: some clients and templates do, others do not."""
    return dict(sorted(value.items())) if rng.random() < 0.5 else value


def define(rng: Random, kind: str, properties: Json) -> Json:
    function: Json = {
        "name": rng.choice(_NAMES[kind].split()),
        "description": rng.choice(_DESCRIPTIONS[kind]),
    }
    parameters: Json = {"type": "object", "properties": properties}
    if rng.random() < 0.8:
        parameters["required"] = list(properties)
    function["parameters"] = _shuffled(rng, parameters)
    return _shuffled(rng, {"type": "function", "function": _shuffled(rng, function)})


def _weather(rng: Random) -> Case:
    key, city = rng.choice(_PLACES.split()), rng.choice(CITIES)
    properties: Json = {key: _property(rng, "string", rng.choice(["The city", "The name of the city", "The location"]))}
    arguments: Json = {key: city}
    if rng.random() < 0.15:
        unit = rng.choice(["unit", "format"])
        properties[unit] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
        arguments[unit] = "celsius"
    tool = define(rng, "weather", properties)
    degrees, sky = rng.randint(-9, 39), rng.choice(_SKIES)
    result = rng.choice(
        [
            f"{degrees} degrees, {sky}",
            f'{{"temperature": {degrees}, "condition": "{sky}"}}',
            f"{sky}, {degrees} degrees",
            f"{degrees}°C and {sky}",
        ]
    )
    answer = f"The weather in {city} is {sky} with {degrees} degrees."
    return Case(
        tool,
        _PHRASES["weather"],
        {"p": city},
        Call(tool["function"]["name"], arguments),
        result,
        answer,
        (city, sky, str(degrees)),
    )


def _numbers(rng: Random, kind: str) -> Case:
    a, b = rng.randint(0, 99), rng.randint(0, 99)
    first, second = rng.choice([("a", "b"), ("a", "b"), ("x", "y"), ("first", "second")])
    type_ = rng.choice(["number", "integer"])
    tool = define(
        rng,
        kind,
        {
            first: _property(rng, type_, "The first number"),
            second: _property(rng, type_, "The second number"),
        },
    )
    value = {"add": a + b, "subtract": a - b, "multiply": a * b}[kind]
    return Case(
        tool,
        _PHRASES[kind],
        {"a": str(a), "b": str(b)},
        Call(tool["function"]["name"], {first: a, second: b}),
        str(value),
        f"The result is {value}.",
        (str(value),),
    )


def _calculator(rng: Random) -> Case:
    a, b, operator = rng.randint(0, 999), rng.randint(0, 999), rng.choice("+-*/")
    key = rng.choice(["expression", "expression", "formula", "input"])
    tool = define(rng, "calculator", {key: _property(rng, "string", "The expression")})
    value = rng.randint(0, 9999)
    call = Call(tool["function"]["name"], {key: f"{a} {operator} {b}"})
    return Case(
        tool,
        _PHRASES["calculator"],
        {"a": str(a), "b": str(b), "o": operator},
        call,
        str(value),
        f"The result is {value}.",
        (str(value),),
    )


def _clock(rng: Random) -> Case:
    key, city = rng.choice(["city", "location", "place"]), rng.choice(CITIES)
    tool = define(rng, "clock", {key: _property(rng, "string", "The city")})
    time = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    return Case(
        tool,
        _PHRASES["clock"],
        {"p": city},
        Call(tool["function"]["name"], {key: city}),
        time,
        f"It is {time} in {city}.",
        (time, city),
    )


def _dice(rng: Random) -> Case:
    sides, key = rng.choice([4, 6, 8, 10, 12, 20]), rng.choice(["sides", "sides", "number_of_sides"])
    tool = define(rng, "dice", {key: _property(rng, "integer", "The number of sides")})
    value = rng.randint(1, sides)
    return Case(
        tool,
        _PHRASES["dice"],
        {"n": str(sides)},
        Call(tool["function"]["name"], {key: sides}),
        str(value),
        f"The dice shows {value}.",
        (str(value),),
    )


def _search(rng: Random) -> Case:
    topic, key = rng.choice(TOPICS), rng.choice(["query", "query", "text", "q"])
    tool = define(rng, "search", {key: _property(rng, "string", "What to search for")})
    result = f"{rng.randint(2, 99)} results about {topic}"
    return Case(
        tool,
        _PHRASES["search"],
        {"t": topic},
        Call(tool["function"]["name"], {key: topic}),
        result,
        f"I found {result}.",
        (result,),
    )


def case(rng: Random, kind: str) -> Case:
    if kind in ("add", "subtract", "multiply"):
        return _numbers(rng, kind)
    return {
        "weather": _weather,
        "calculator": _calculator,
        "clock": _clock,
        "dice": _dice,
        "search": _search,
    }[kind](rng)
