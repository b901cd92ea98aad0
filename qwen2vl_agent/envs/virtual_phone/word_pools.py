"""The raw pools of words. `words.py` splits them; nothing else reads them."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    """
    Ada Adam Agnes Aisha Alan Albert Alice Amara Amelia Amir Amy Ana Andrea Andrew Angela Anita Anna Anton Aria Arthur
    Astrid Aurora Ava Axel Basil Beatrice Bella Ben Bianca Boris Brian Bruno Camila Carl Carmen Caroline Cecil Cedric
    Celia Chen Chloe Clara Claude Conrad Cora Cyrus Daisy Damian Daniel Daphne David Deborah Denis Diana Diego Dmitri
    Dora Doris Edgar Edith Edmund Elena Eli Elias Elif Ella Elsa Emeka Emil Emily Emma Enzo Erika Ernest Esther Ethan
    Eva Evelyn Fatima Felix Fiona Flora Florian Frank Freya Frida Gabriel Gemma George Gina Giulia Grace Greta Gustav
    Hana Hannah Harold Hassan Hazel Hector Heidi Helen Henry Hugo Ibrahim Ida Igor Imani Ingrid Irene Iris Isaac
    Isabel Ivan Ivy Jack Jacob Jade James Jana Jasper Javier Jean Joan Joel Johan Jonas Jorge Joseph Joyce Judith
    Julia Julian June Kai Karen Karim Karl Kate Kenji Kira Klaus Kofi Lara Laura Lena Leo Leon Liam Lily Lina Linus
    Lisa Livia Lucas Lucia Luis Luna Lydia Mabel Maja Marco Margot Maria Marius Martha Martin Matilda Max Maya Mei
    Mila Milan Mina Miriam Mona Nadia Naomi Nathan Nell Nico Nina Noah Nora Oleg Olga Oliver Olivia Omar Oscar Otto
    Pablo Paula Pedro Penny Petra Philip Pia Priya Quentin Rachel Rafael Ralph Rania Ravi Rebecca Rita Robert Robin
    Rosa Ruben Ruby Rupert Ruth Ryan Sadie Salma Samir Samuel Sandra Sara Sasha Selma Sergio Silas Simon Sofia Sonia
    Stefan Stella Stephen Susan Sven Sylvia Tamara Tara Tariq Teresa Theo Thomas Tilda Tina Tobias Uma Ursula Vera
    Victor Viola Walter Wanda Wendy Yara Yasmin Yuki Yusuf Zara Zoe
    """
)
LAST_NAMES = _words(
    """
    Abbott Adler Ahmed Albright Anders Archer Ashby Atwood Bailey Baker Banks Barlow Barnes Bauer Becker Bell Bennett
    Berg Bianchi Bishop Blake Bloom Bond Booth Bowen Boyd Brandt Briggs Brooks Bryant Burke Burns Byrne Calder Campos
    Carver Castro Chan Chapman Clarke Cohen Cole Collins Conway Cooper Costa Craig Crane Cruz Curtis Dalton Daly Davis
    Dawson Delgado Dexter Diaz Dixon Dolan Doyle Drake Dubois Duffy Duncan Eaton Eckert Ellis Engel Evans Farmer
    Farrell Ferrari Finch Fischer Fisher Fleming Flynn Forbes Foster Fowler Fox Fraser Frost Fuller Garcia Gardner
    Garner Gibson Gilbert Goodwin Gordon Graves Green Grimm Gupta Haas Hale Hansen Harding Harper Harris Hart Hayes
    Heath Henson Herrera Hewitt Hill Hobbs Hoffman Holmes Holt Hopper Horn Howell Huber Hughes Hunter Ibarra Ingram
    Ito Jansen Jarvis Jensen Joshi Kane Kaplan Keller Kelly Kemp Khan Kim King Klein Knight Koch Kowalski Kruger Kumar
    Lamb Lane Lang Larsen Lawson Leroy Lewis Lind Lloyd Lopez Lovelace Lowe Lynch Mann Marsh Mason Maxwell Mayer
    Medina Mendez Mercer Meyer Miller Mills Monroe Moore Morales Moran Moreno Morgan Moss Muller Murphy Nash Navarro
    Neumann Newton Nguyen Nilsen Noble Nolan Novak Oakley Obrien Okafor Olsen Ortega Osborn Owens Pace Palmer Park
    Parker Patel Payne Pearce Perez Perry Petrov Pierce Pike Pope Porter Potts Powell Price Quinn Ramos Reed Reyes
    Rhodes Rice Richter Rios Rivera Robbins Rossi Rowe Ruiz Russo Salazar Sanders Santos Sato Sawyer Schmidt Schultz
    Shah Sharma Shaw Silva Simmons Singh Sloan Snow Soto Sparks Stein Stone Strand Suarez Sutton Suzuki Swan Tanaka
    Tate Thorne Torres Turing Turner Underwood Vance Vargas Vega Vogel Wagner Walker Walsh Ward Warner Watts Weber
    Webster Weiss Wells West White Wilde Winter Wolf Wong Wood Wright Yates York Young Zeller Ziegler Zimmer
    """
)
NOTE_TOPICS = _words(
    """
    Apartment Autumn Balcony Band Bank Bath Beach Berlin Bike Birthday Boat Book Breakfast Budget Cabin Cake Camping
    Car Cat Chess Choir Cinema Class Coffee Concert Cooking Dance Dentist Desk Dinner Doctor Dog Drawing Exam Family
    Farm Festival Film Fishing Fitness Flight Flower Football French Friday Fruit Game Garage Garden Gift Green Guitar
    Gym Hair Harbor Health Hiking History Hobby Holiday Home Hotel House Insurance Interview Island Italy Jacket Job
    July Kitchen Lake Lamp Language Library Lunch Market Math Meeting Monday Mountain Museum Music Office Opera
    Orchard Painting Paper Park Party Passport Picnic Pizza Plant Poem Pool Project Quiz Radio Recipe Rent Repair
    Report River Road Roof Sailing Salad School Science Shoe Shop Skiing Soup Spanish Spring Square Study Summer
    Sunday Surf Tax Tea Team Tennis Theater Ticket Tokyo Tool Tour Toy Train Travel Tree Trip Uncle Vacation Video
    Violin Visit Wall Water Wedding Weekend Wine Winter Work Yoga Zoo
    """
)
NOTE_KINDS = ("list", "plan", "ideas", "notes", "dates", "costs", "tips", "draft", "goals", "story", "facts", "news")
THINGS = _words(
    """
    apples bread butter cheese eggs milk rice pasta salt sugar honey coffee tea lemons onions carrots peppers olives
    nuts yogurt candles batteries soap towels stamps envelopes pencils paint brushes nails screws rope tape glue
    scissors gloves socks boots jacket umbrella camera charger cables headphones speakers keyboard mouse lamp pillow
    blanket plates cups forks knives spoons bowls napkins bottles baskets seeds soil flowers roses tulips balloons
    cards games books magazines maps tickets passport keys wallet sunscreen tent ladder hammer drill paper folders
    markers stickers tomatoes potatoes cucumbers spinach garlic ginger basil flour vanilla almonds chocolate cookies
    crackers juice
    """
)
CITIES = _words(
    """
    Amsterdam Athens Auckland Austin Baku Barcelona Beirut Belfast Bergen Berlin Bern Bogota Boston Bristol Brussels
    Budapest Cairo Calgary Cardiff Chicago Cork Dallas Delhi Denver Dublin Edinburgh Florence Geneva Genoa Ghent
    Glasgow Hamburg Hanoi Havana Helsinki Istanbul Jakarta Kyoto Lagos Leeds Leipzig Lima Lisbon London Lyon Madrid
    Malmo Manila Marseille Melbourne Miami Milan Montreal Moscow Mumbai Munich Nairobi Naples Nice Oslo Ottawa Oxford
    Paris Perth Porto Prague Quebec Quito Reykjavik Riga Rome Salzburg Santiago Seattle Seoul Seville Shanghai Sofia
    Stockholm Sydney Taipei Tallinn Tampere Tbilisi Tokyo Toronto Tunis Turin Utrecht Valencia Venice Verona Vienna
    Warsaw York Zagreb Zurich
    """
)
MESSAGES = (
    "See you soon", "On my way", "Thanks a lot", "Good morning", "Good night", "Call me later", "Happy birthday",
    "Running late", "Almost there", "Sounds good", "No problem", "Well done", "Where are you?", "What time is it?",
    "I am at home", "I am at work", "Let me know", "Miss you", "Great news", "Please call back", "Dinner is ready",
    "The train is late", "Meeting moved", "Door is open", "Flight landed", "Take care", "Safe travels", "Good luck",
    "Have fun", "Come over", "Lunch today?", "Coffee tomorrow?", "Are you free?", "I agree", "Not today", "Maybe later",
    "Nice picture", "Very funny", "Got it", "Send me photos", "It is raining", "Sun is shining", "I found it",
    "I lost my keys", "Check your mail", "Keys are inside", "Car is fixed", "Movie tonight?", "Game starts now",
    "We won", "I forgot", "Wait for me", "Turn left there", "Parking is full", "Shop is closed", "Bring a friend",
    "Say hello", "Back in ten", "Feeling better", "Stay warm", "Sleep well", "Welcome back", "Congratulations",
    "All is fine", "Just arrived", "Leaving now", "Stuck in traffic", "Phone was off", "New number", "Same place",
    "Usual time", "Everyone is here", "Tell me more", "That was fun", "Good idea", "Bad signal", "Try again",
)  # fmt: skip
MESSAGE_TEMPLATES = (
    "Bring the {thing}", "Buy some {thing}", "Where are the {thing}?", "I have the {thing}", "We need {thing}",
    "No {thing} left", "Meet at {time}", "Call me at {time}", "Lunch at {time}?", "Bus leaves at {time}",
    "Home by {time}", "Off to {city}", "Greetings from {city}", "Back from {city}", "Train to {city}", "Rain in {city}",
)  # fmt: skip
ALARM_LABELS = (
    "Wake up", "Gym", "Work", "School", "Medicine", "Walk the dog", "Meeting", "Train", "Flight", "Breakfast", "Lunch",
    "Dinner", "Yoga", "Swimming", "Piano", "Homework", "Laundry", "Garden", "Market", "Church", "Football", "Class",
    "Nap", "Bedtime", "Reading", "Running", "Vitamins", "Bus", "Call home", "Stretch", "Tea", "Bread oven", "Pick up",
    "Choir", "Shift", "Water plants", "News", "Weekend", "Early bird", "Backup alarm",
)  # fmt: skip
EVENTS = (
    "Team meeting", "Dentist", "Birthday party", "Yoga class", "Book club", "Parents visit", "Car service", "Haircut",
    "Concert", "Lunch with Sam", "Project review", "Tax day", "Football match", "Piano lesson", "Wedding", "Board game",
    "Museum tour", "Doctor", "School play", "Garden work", "Bike ride", "Movie night", "Exam", "Job interview",
    "Flight home", "House viewing", "Choir practice", "Cooking class", "Swim training", "Picnic", "Market day",
    "Art class", "Office party", "Train trip",
)  # fmt: skip
SONGS = (
    "Blue River", "Golden Hour", "Silent Snow", "City Lights", "Paper Moon", "Ocean Drive", "Little Fire", "Balloons",
    "Summer Rain", "Night Train", "Open Sky", "Glass Heart", "Wild Roses", "Long Road", "Morning Star", "Desert Wind",
    "Green Valley", "Lost Letters", "Silver Coin", "Dancing Shoes", "Winter Sun", "Electric Bird", "Velvet Sea",
    "Broken Clock", "Sweet Home", "Echo Park", "Falling Leaves", "Northern Line", "Purple Haze", "Hidden Door",
    "Slow Motion", "Tiny Island", "Distant Drum", "Candy Shop", "High Tide", "Lucky Stone",
)  # fmt: skip
ARTISTS = (
    "The Foxes", "Nova", "Marble Sky", "Les Oiseaux", "Kites", "Iron Garden", "Lemon Club", "Blue Note", "The Harbors",
    "Delta Five", "Moonbeam", "Paper Boats", "Red Canary", "Saturn", "The Tides", "Velvet Owl", "Horses", "Zephyr",
)  # fmt: skip
FILES = (
    "Invoice.pdf", "Report.pdf", "Menu.pdf", "Ticket.pdf", "Budget.xls", "Letter.doc", "Resume.doc", "Holiday.zip",
    "Song.mp3", "Podcast.mp3", "Sunset.jpg", "Family.jpg", "Receipt.jpg", "Plan.png", "Logo.png", "Trailer.mp4",
    "Backup.zip", "Manual.pdf", "Contract.pdf", "Recipe.txt", "Readme.txt", "Guests.csv", "Scores.csv", "Slides.ppt",
    "Photo.jpg", "Poster.png", "Lecture.mp4", "Voice.wav", "Map.pdf", "Lease.pdf", "Poems.txt", "Chart.png",
)  # fmt: skip
NETWORKS = (
    "Home", "Studio", "Cafe Luna", "Library", "Airport", "Greenhouse", "Office", "Guest", "Skyline", "Harbor", "Attic",
    "Blue House", "Station", "Campus", "Bakery", "Hotel Rosa", "Garage", "Penguin", "Orchard", "Lakeside", "Museum",
    "Router 7", "Sunroom", "Basement",
)  # fmt: skip
